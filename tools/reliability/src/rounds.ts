import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createEngine, type Engine } from '@fitdoc/engine';
import { Lane } from './lane.js';
import { Random } from './random.js';
import { SmallDisk } from '../../lab/src/small-disk.js';
import { KvmSubject, mockSubject, type Subject } from './subjects.js';
import { Tally } from './tally.js';

export interface RoundsOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Protect real guests too; needs QEMU and KVM. */
  readonly kvm: boolean;
  /** Let disks run full; needs the right to mount. */
  readonly smallDisks: boolean;
  /** Victims at a time, each with machines and repositories of its own. Default 2. */
  readonly lanes?: number;
  /** Thin to so many checkpoints of each machine all the time. Default: keep all. */
  readonly keepLast?: number | undefined;
  readonly onRound?: (tally: Tally) => void;
}

const DISK_MEBIBYTES = 192;

/**
 * Lives and violent deaths of daemons that protect machines under load. Rejects when a guest stands, a repository
 * cannot be opened, or a victim does not go on, once the other lanes have ended their rounds; everything that is lost
 * or damaged is in the tally.
 */
export async function runRounds(options: RoundsOptions): Promise<Tally> {
  const tally = new Tally();
  const random = new Random(options.seed);
  const folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-rounds-'));
  const engine = createEngine({ workers: 1 });
  const cleanups: (() => Promise<unknown>)[] = [
    () => rm(folder, { recursive: true, force: true }),
    () => engine.close(),
  ];
  let left = options.rounds;
  try {
    const lanes: Lane[] = [];
    for (let index = 0; index < (options.lanes ?? 2); index++)
      lanes.push(await makeLane(options, index, { folder, engine, random, tally, cleanups }));
    const run = async (lane: Lane): Promise<void> => {
      while (left-- > 0) {
        await lane.round();
        options.onRound?.(tally);
      }
    };
    const ends = await Promise.allSettled(
      lanes.map((lane) =>
        run(lane).catch((error: unknown) => {
          left = 0;
          throw error;
        }),
      ),
    );
    const failures = ends.flatMap((end): unknown[] => (end.status === 'rejected' ? [end.reason] : []));
    if (failures.length === 0) return tally;
    // Whoever sees only the end of a log sees every lane's failure there, and what was found until then.
    const said = failures.map((error) => (error instanceof Error ? error.message : String(error)));
    throw new AggregateError(failures, [...tally.lines(), ...said].join('\n'), { cause: failures[0] });
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

interface Shared {
  readonly folder: string;
  readonly engine: Engine;
  readonly random: Random;
  readonly tally: Tally;
  readonly cleanups: (() => Promise<unknown>)[];
}

async function makeLane(options: RoundsOptions, index: number, shared: Shared): Promise<Lane> {
  const { engine, tally, cleanups } = shared;
  const random = shared.random.fork();
  const folder = path.join(shared.folder, String(index));
  const store = path.join(folder, 'disk');
  await mkdir(folder);
  const disk = options.smallDisks ? await SmallDisk.mount(store, DISK_MEBIBYTES) : undefined;
  if (disk) cleanups.push(() => disk.unmount());
  else await mkdir(store);
  const subjects: Subject[] = [mockSubject(`mock${index}`, random.below(1000))];
  if (options.kvm) {
    const guest = await KvmSubject.boot(`guest${index}`);
    cleanups.push(() => guest.stop());
    subjects.push(guest);
  }
  const { keepLast } = options;
  return new Lane({ folder, store, disk, subjects, engine, random, tally, keepLast });
}
