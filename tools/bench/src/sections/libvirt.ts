import { chmod, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine, type Engine } from '@fitdoc/engine';
import { Repository } from '@fitdoc/repository';
import { LibvirtHost, missingForLibvirt, startDomain } from '../../../lab/src/libvirt/index.js';
import { missingForKvm, waitForHeartbeats } from '../../../lab/src/qemu/index.js';
import type { BenchContext } from '../context.js';
import { quantile } from '../end-to-end/statistics.js';
import type { Row, Section } from '../section.js';

/** What libvirt may cost, as a ratio. */
const AT_MOST = 1.2;
/** From the end of one checkpoint to the next, so that the guest has written about the same. */
const BETWEEN_MS = 300;

const WAYS = ['the QMP socket', 'libvirt'] as const;

interface Taken {
  readonly pauseMs: number;
  /** From the request to a durable checkpoint. */
  readonly durableMs: number;
}

export const section: Section = {
  name: 'libvirt',
  title: 'A domain on KVM through libvirt against a QMP socket of its own, in turns',
  requires: async () => (await missingForLibvirt()) ?? (await missingForKvm()),
  run,
};

async function run(context: BenchContext): Promise<Row[]> {
  const host = await LibvirtHost.start();
  const engine = createEngine();
  try {
    // QEMU makes its socket as another user.
    const directory = path.join(host.directory, 'qmp');
    await mkdir(directory);
    await chmod(directory, 0o777);
    const socket = path.join(directory, 'qmp.sock');
    const qemu = `xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'`;
    const { serialPath } = await startDomain(host, {
      ...{ name: 'bench', guest: 'firmware', memoryMib: 256, firmwareHeart: { mib: 32, pages: 512 } },
      elements: `<qemu:commandline ${qemu}><qemu:arg value='-qmp'/><qemu:arg value='unix:${socket},server=on,wait=off'/></qemu:commandline>`,
    });
    await waitForHeartbeats(serialPath, (beats) => beats.length >= 2, 120_000);
    const store = await openStore(path.join(await context.temporaryDirectory(), 'r'), { create: true });
    const repository = await Repository.init(store);
    const locations = { libvirt: `libvirt:${host.uri}#bench`, 'the QMP socket': `kvm:${socket}` };
    const taken: Record<(typeof WAYS)[number], Taken[]> = { libvirt: [], 'the QMP socket': [] };
    for (let round = 0; round < (context.quick ? 2 : 10); round++) {
      context.log(`round ${round + 1}`);
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed())
        taken[way].push(...(await increments(locations[way], engine, repository, context.quick ? 5 : 20)));
    }
    await repository.close();
    await store.close();
    return [
      ...rowsOf('pause of an increment', taken, ({ pauseMs }) => pauseMs),
      ...rowsOf('from the request to a durable increment', taken, ({ durableMs }) => durableMs),
    ];
  } finally {
    await engine.close();
    await host.stop();
  }
}

async function increments(
  location: string,
  engine: Engine,
  repository: Repository,
  count: number,
): Promise<Taken[]> {
  const { hypervisor, rest } = await hypervisorFor(location);
  const machine = await hypervisor.attach(rest, { config: { mode: 'colo' } });
  try {
    const protection = await engine.protect(machine, repository);
    // The first has all of the memory, the second what was written meanwhile.
    for (let first = 0; first < 2; first++) await protection.checkpoint();
    const taken: Taken[] = [];
    for (let number = 0; number < count; number++) {
      await sleep(BETWEEN_MS);
      const begun = performance.now();
      const { cost } = await protection.checkpoint();
      taken.push({ pauseMs: cost.pauseMs, durableMs: performance.now() - begun });
    }
    await protection.end();
    return taken;
  } finally {
    await machine.detach();
  }
}

function rowsOf(
  name: string,
  taken: Readonly<Record<(typeof WAYS)[number], readonly Taken[]>>,
  of: (each: Taken) => number,
): Row[] {
  return [
    ['p50', 0.5],
    ['p90', 0.9],
  ].flatMap(([label, share]): Row[] => {
    const [socket, libvirt] = WAYS.map((way) => quantile(taken[way].map(of), Number(share)));
    const target = label === 'p50' ? { target: { of: 'ratio', atMost: AT_MOST } as const } : {};
    const row = { name: `${name}, ${label}`, unit: 'ms' };
    return [
      { ...row, variant: WAYS[0], value: socket! },
      { ...row, variant: WAYS[1], value: libvirt!, ratio: libvirt! / socket!, ratioTo: WAYS[0], ...target },
    ];
  });
}
