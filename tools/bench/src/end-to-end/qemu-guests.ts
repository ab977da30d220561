import path from 'node:path';
import { missingForKvm, missingForQemu, type RunningGuest } from '../../../lab/src/qemu/index.js';
import type { BenchContext } from '../context.js';
import { askedMinutes } from '../minutes.js';
import type { Row } from '../section.js';
import { startBareMetal } from './bare-metal.js';
import { Monitor } from './monitor.js';
import { measure, type Plan } from './qemu-rounds.js';
import { qemuRows, type Targets } from './qemu-rows.js';
import { startRedisGuest } from './redis-guest.js';
import { askedGuests, selectGuests } from './which-guests.js';

/** No multiple of 256 KiB: QEMU before 9.0 loses dirty pages of emulated guests that are one. */
const ONE_GIB_AND_ODD = 1024 * 1024 + 8;

interface Candidate {
  readonly name: string;
  readonly targets: Targets;
  readonly config: Plan['config'];
  missing(): Promise<string | undefined>;
  start(): Promise<RunningGuest>;
}

const emulated = { config: { mode: 'colo' }, missing: missingForQemu, targets: 'all' } as const;
const bareMetal = (size: string, mebibytes: number, pages: number): Candidate => ({
  name: `KVM ${size}, bare metal, ${pages} pages a beat`,
  targets: 'pause',
  config: {},
  missing: missingForKvm,
  start: () => startBareMetal(mebibytes, pages),
});

const INCREMENTS = 20;

/** Rounds of checkpoints of both ways, a second each: as many as take the minutes that are asked for, a guest. */
function rounds(): number {
  return Math.max(2, Math.ceil(((askedMinutes() ?? 0) * 60) / (2 * INCREMENTS)));
}

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
  bareMetal('192 MiB', 192, 50),
  bareMetal('1 GiB', 1024, 50),
  bareMetal('1 GiB', 1024, 500),
];

/**
 * Real guests, saved and checkpointed in all ways. Those that cannot run here are left out, with the reason. One that
 * fails is a row that misses its target: the others' figures may have taken an hour.
 */
export async function qemuGuests(context: BenchContext): Promise<Row[]> {
  const rows: Row[] = [];
  for (const candidate of selectGuests(CANDIDATES, askedGuests())) {
    const missing = await candidate.missing();
    if (missing === undefined)
      rows.push(...(await oneGuest(context, candidate).catch(failed(context, candidate))));
    else context.log(`SKIPPED ${candidate.name}: ${missing}`);
  }
  return rows;
}

function failed(context: BenchContext, { name }: Candidate): (error: unknown) => Row[] {
  return (error) => {
    const why = error instanceof Error ? error.message : String(error);
    context.log(`FAILED ${name}: ${why}`);
    const target = { of: 'value', atMost: 0 } as const;
    return [{ name, variant: `FAILED: ${why}`, value: NaN, unit: '', target }];
  };
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
          : { rounds: rounds(), saves: 3, increments: INCREMENTS, everyMs: 1000 }),
        config: candidate.config,
      },
    );
    return qemuRows(candidate.name, samples, candidate.targets);
  } finally {
    monitor.close();
    await guest.stop();
  }
}
