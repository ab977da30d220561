import path from 'node:path';
import { missingForKvm, missingForQemu, startGuest, type RunningGuest } from '../../../lab/src/qemu/index.js';
import type { BenchContext } from '../context.js';
import type { Row } from '../section.js';
import { Monitor } from './monitor.js';
import { measure, type Plan } from './qemu-rounds.js';
import { qemuRows, type Targets } from './qemu-rows.js';
import { startRedisGuest } from './redis-guest.js';

/** No multiple of 256 KiB: QEMU before 9.0 loses dirty pages of emulated guests that are one. */
const ONE_GIB_AND_ODD = 1024 * 1024 + 8;

interface Candidate {
  readonly name: string;
  readonly targets: Targets;
  readonly config: Plan['config'];
  missing(): Promise<string | undefined>;
  start(): Promise<RunningGuest>;
}

const monitorArguments = ['-qmp', 'unix:monitor.sock,server=on,wait=off'];
const emulated = { config: { mode: 'colo' }, missing: missingForQemu, targets: 'all' } as const;
const CANDIDATES: readonly Candidate[] = [
  {
    ...emulated,
    name: 'QEMU 1 GiB, redis under load',
    start: () => startRedisGuest(ONE_GIB_AND_ODD, { rows: 150_000, keys: 60_000, writers: 4 }),
  },
  {
    ...emulated,
    name: 'QEMU 1 GiB, redis idle',
    start: () => startRedisGuest(ONE_GIB_AND_ODD, { rows: 150_000, keys: 60_000, writers: 0 }),
  },
  {
    name: 'KVM 1 GiB, bare metal',
    targets: 'pause',
    config: {},
    missing: missingForKvm,
    start: () =>
      startGuest({
        ...{ accel: 'kvm', memoryKib: 1024 * 1024, firmwareHeart: { mib: 8, pages: 500 } },
        extraArgs: monitorArguments,
      }),
  },
];

/** Real guests, saved and checkpointed in all ways. Those that cannot run here are left out, with the reason. */
export async function qemuGuests(context: BenchContext): Promise<Row[]> {
  const rows: Row[] = [];
  for (const candidate of CANDIDATES) {
    const missing = await candidate.missing();
    if (missing === undefined) rows.push(...(await oneGuest(context, candidate)));
    else context.log(`SKIPPED ${candidate.name}: ${missing}`);
  }
  return rows;
}

async function oneGuest(context: BenchContext, candidate: Candidate): Promise<Row[]> {
  context.log(`${candidate.name}: starting`);
  const guest = await candidate.start();
  const monitor = await Monitor.connect(path.join(guest.directory, 'monitor.sock'));
  try {
    const samples = await measure(
      {
        qmpPath: guest.qmpPath,
        monitor,
        directory: await context.temporaryDirectory(),
        log: (message) => context.log(`${candidate.name}: ${message}`),
      },
      {
        ...(context.quick
          ? { rounds: 1, saves: 2, increments: 8, everyMs: 1000 }
          : { rounds: 2, saves: 3, increments: 20, everyMs: 1000 }),
        config: candidate.config,
      },
    );
    return qemuRows(candidate.name, samples, candidate.targets);
  } finally {
    monitor.close();
    await guest.stop();
  }
}
