import { missingForKvm } from '../../../lab/src/qemu/index.js';
import type { BenchContext } from '../context.js';
import { Supervised } from '../daemon/supervised.js';
import { countRows, quantileRows, takeTurn, turnsOf, type Side } from '../daemon/turns.js';
import { loadRow } from '../end-to-end/load.js';
import { startBareMetal } from '../end-to-end/bare-metal.js';
import { askedMinutes } from '../minutes.js';
import type { Row, Section } from '../section.js';

const GUEST = 'guest';
const PAGES = 500;

export const section: Section = {
  name: 'beside',
  title: "A guest's pauses alone, and with other machines protected and merged by the same process, in turns",
  requires: missingForKvm,
  async run(context) {
    const before = loadRow('before');
    const guest = await startBareMetal(1024, PAGES);
    try {
      const others = Array.from({ length: context.quick ? 4 : 16 }, (_, index) => `other-${index}`);
      const machines = machinesOf(guest.qmpPath, others);
      const supervised = await Supervised.start(await context.temporaryDirectory(), machines);
      try {
        return [...(await inTurns(context, supervised, others)), before, loadRow('after')];
      } finally {
        await supervised.stop();
      }
    } finally {
      await guest.stop();
    }
  },
};

/** The guest itself is not merged: alone means that nothing else goes on. */
function machinesOf(qmpPath: string, others: readonly string[]): Record<string, string[]> {
  const mocks = others.map((name, index): [string, string[]] => [
    name,
    [
      `location = "mock:${name}?memory=64M&resident=32M&workload=kv&seed=${index + 1}"`,
      ...['every = "1s"', 'retention = { keep-last = 10 }'],
    ],
  ]);
  const guest = [`location = ${JSON.stringify(`kvm:${qmpPath}`)}`, 'every = "250ms"', 'merge = false'];
  return { [GUEST]: guest, ...Object.fromEntries(mocks) };
}

async function inTurns(
  context: BenchContext,
  supervised: Supervised,
  others: readonly string[],
): Promise<Row[]> {
  const { rounds, turnMs } = turnsOf(askedMinutes() ?? 4, context.quick);
  const alone: Side = { name: 'alone', turns: [], merged: [] };
  const beside: Side = { name: `${others.length} others, merging`, turns: [], merged: [] };
  const merges = (): number => supervised.merged(others).merges;
  await supervised.until(() => merges() > 0, 120_000, 'something is merged');
  const lacked = supervised.lacking([GUEST]);
  for (let round = 0; round < rounds; round++) {
    context.log(`round ${round + 1} of ${rounds}`);
    for (const side of round % 2 === 0 ? [alone, beside] : [beside, alone]) {
      const isMerging = side === beside;
      const kind = { names: isMerging ? [GUEST, ...others] : [GUEST], watched: others, isMerging };
      const { taken, merged } = await takeTurn(supervised, kind, turnMs, (message) => context.log(message));
      side.turns.push(taken.filter(({ machine }) => machine === GUEST).map(({ pauseMs }) => pauseMs));
      side.merged.push(merged);
    }
  }
  const what = `KVM 1 GiB, bare metal, ${PAGES} pages a beat: pause`;
  return [
    ...quantileRows(what, alone, beside, 1.2),
    ...countRows('seen in those turns', [alone, beside]),
    {
      ...{ name: "the guest's checkpoints that failed or came too late", variant: 'in all turns' },
      ...{ value: supervised.lacking([GUEST]) - lacked, unit: 'checkpoints' },
    },
  ];
}
