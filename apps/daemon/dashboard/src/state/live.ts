import type { DaemonEvent, JobStatus, MachineStatus, StandbyStatus } from '../../../src/model.js';
import { readEvents } from '../daemon/event-stream.js';
import { ask, asRequestError, type RequestError } from '../daemon/request.js';
import { refreshTimeline } from './timeline.js';
import { seen, seenStandby, withEvent } from './state.js';
import { store } from './store.js';

const SHORTEST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

let wake: () => void = () => undefined;

/** Keeps the store in step with the daemon until the page is left: reads its events, and again when they end. */
export async function follow(): Promise<never> {
  let wait = SHORTEST_WAIT_MS;
  for (;;) {
    const attempt = new AbortController();
    const live = (): void => {
      wait = SHORTEST_WAIT_MS;
    };
    const problem = await session(live, attempt.signal).catch(asRequestError);
    attempt.abort();
    store.update((state) => ({ ...state, connection: { state: 'lost', problem } }));
    await pause(wait);
    wait = Math.min(LONGEST_WAIT_MS, wait * 2);
  }
}

/** Ends the wait for the next try. */
export function retryNow(): void {
  wake();
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, milliseconds);
  });
}

/**
 * One connection. What happens while the lists are on their way is applied on top of them, so that nothing that
 * they do not tell of yet is lost.
 */
async function session(onLive: () => void, signal: AbortSignal): Promise<RequestError> {
  let early: DaemonEvent[] | undefined = [];
  const loaded = async (): Promise<void> => {
    const [machines, standbys, jobs] = await Promise.all([
      ask<MachineStatus[]>('GET', 'v1/machines', undefined, signal),
      ask<StandbyStatus[]>('GET', 'v1/standbys', undefined, signal),
      ask<JobStatus[]>('GET', 'v1/jobs', undefined, signal),
    ]);
    const missed = early ?? [];
    early = undefined;
    store.update((state) =>
      missed.reduce(withEvent, {
        ...state,
        machines: machines.map(seen),
        standbys: standbys.map(seenStandby),
        jobs,
        connection: { state: 'live' },
      }),
    );
    onLive();
    refreshTimeline();
  };
  return new Promise((_resolve, reject) => {
    const begin = (): void => void loaded().catch(reject);
    const deliver = (event: DaemonEvent): void => {
      if (early) early.push(event);
      else apply(event);
    };
    readEvents(begin, deliver, signal).catch(reject);
  });
}

function apply(event: DaemonEvent): void {
  store.update((state) => withEvent(state, event));
  const pruned = event.type === 'job' && event.job.kind === 'prune' && event.job.endedAt !== undefined;
  if (pruned) refreshTimeline();
}
