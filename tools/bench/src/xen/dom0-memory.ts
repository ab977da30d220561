import { createGuest, XenHost } from '../../../lab/src/xen/index.js';
import type { BenchContext } from '../context.js';
import type { Row } from '../section.js';
import { checkpoints } from './measure.js';

const MIB = 2 ** 20;
/** The most that fitdoc may take of dom0's memory, of the guest's. */
const SHARE = 0.25;
/** What a process takes without any image, and the guard beside it. */
const PROCESSES = 200;
/** Memory of the guest that is no part of its field, MiB. */
const KERNEL = 256;
const GUEST = 'large';

/** What dom0 has besides the file of an image, MiB. */
const DOM0 = 768;

/**
 * What fitdoc's processes take of dom0's memory beside a guest that wrote to nearly all of its own. What has no place
 * in it of the guest's image is in a file. The lab's dom0 has no disk: a file in memory stands for one on a disk.
 */
export async function memoryInDom0(context: BenchContext): Promise<Row> {
  // A smaller one shows that it works, and not what it is for: Node.js itself would be most of it.
  const field = context.quick ? 256 : 1024;
  const memory = field + KERNEL;
  context.log(`the memory of Node.js in dom0 beside a guest of ${memory} MiB`);
  const host = await XenHost.start({ memory: 2 * memory + DOM0 + 256, dom0Memory: memory + DOM0 });
  try {
    // It sleeps most of the time: dom0 shares its processor.
    const pages = (field * MIB) / 4096;
    const work = { pages, stepMicroseconds: 20_000_000 };
    await createGuest(host, { name: GUEST, type: 'pvh', memory, balloon: memory, ...work });
    const engine = {
      memoryBudget: Math.max(24, Math.floor(SHARE * memory) - PROCESSES) * MIB,
      coldDirectory: '/run',
    };
    const count = context.quick ? 2 : 5;
    const costs = await checkpoints(host, { domain: GUEST, folder: '/host/bench-store', count, engine });
    const value = Math.max(...costs.map((each) => each.ownBytes));
    return {
      ...{ name: `${memory} MiB: memory in dom0`, variant: "fitdoc's processes", value, unit: 'B' },
      ...{ ratio: value / (memory * MIB), ratioTo: "the guest's memory" },
      ...(!context.quick && { target: { of: 'ratio', atMost: SHARE } as const }),
    };
  } finally {
    await host.stop();
  }
}
