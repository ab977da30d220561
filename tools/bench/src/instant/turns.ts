import { openStore } from '@fitdoc/adapters';
import type { PageRun, Store } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import { withFaults } from '@fitdoc/store-decorators';
import { timedRestore, type Held, type Times, type Way } from './timed-restore.js';
import type { Subject } from './subject.js';

export const FULL: Way = { name: 'full restore', lazy: false };
export const LAZY: Way = { name: 'lazy', lazy: true };
export const RECORDED: Way = { name: 'lazy, recorded order', lazy: true };
export const VERIFIED: Way = { name: 'lazy, verified first', lazy: true, verifyFirst: true };

export interface Sample extends Times {
  readonly round: number;
  readonly size: string;
  readonly delayMs: number;
  readonly way: string;
}

/** A subject in a store that takes so many milliseconds longer for each request. */
interface Contest {
  readonly subject: Subject;
  readonly delayMs: number;
  readonly held: Held;
  /** What the last lazy restore asked for. */
  asked: readonly PageRun[];
}

/** Restores every subject from every store in every way, in turns. */
export async function inTurns(
  subjects: readonly Subject[],
  delays: readonly number[],
  rounds: number,
  log: (message: string) => void,
): Promise<Sample[]> {
  const opened: (Store | Repository)[] = [];
  const samples: Sample[] = [];
  try {
    const contests: Contest[] = [];
    for (const delayMs of delays) {
      for (const subject of subjects) {
        const store = await openStore(subject.location);
        const repository = await Repository.open(
          delayMs === 0 ? store : withFaults(store, () => ({ delayMs })),
        );
        opened.push(store, repository);
        const held = { repository, entry: await repository.resolve('latest') };
        contests.push({ subject, delayMs, held, asked: [] });
      }
    }
    log('each once, untimed');
    for (const contest of contests) await take(contest, LAZY);
    for (let round = 0; round < rounds; round++) {
      log(`round ${round + 1} of ${rounds}`);
      for (const contest of contests) {
        for (const way of turned(waysOf(contest), round)) {
          const { subject, delayMs } = contest;
          const times = await take(contest, way);
          samples.push({ ...times, round, size: subject.size.name, delayMs, way: way.name });
        }
      }
    }
    return samples;
  } finally {
    for (const each of opened.reverse()) await each.close();
  }
}

function waysOf({ delayMs }: Contest): Way[] {
  return [FULL, LAZY, RECORDED, ...(delayMs === 0 ? [VERIFIED] : [])];
}

async function take(contest: Contest, way: Way): Promise<Times> {
  const { subject, held, asked } = contest;
  const times = await timedRestore(subject, held, way, way === RECORDED ? asked : []);
  // A restore in a recorded order asks only for what that lacks.
  if (way === LAZY && times.lazy) contest.asked = times.lazy.asked.map((start) => ({ start, count: 1 }));
  return times;
}

function turned<Each>(all: readonly Each[], round: number): Each[] {
  const first = round % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}
