import type { TimelineEntry } from '../../../src/model.js';
import { ask, asRequestError } from '../daemon/request.js';
import { store } from './store.js';

/** Checkpoints that are asked for, newest last. */
export const MOST_POINTS = 2000;
/** New checkpoints come as events; what was removed or tagged shows with the next reading. */
const REFRESH_MS = 30_000;

let shown: string | undefined;
let current: AbortController | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Makes a machine's timeline the one that is kept in the store. */
export function showTimeline(machine: string | undefined): void {
  if (machine === shown) return;
  shown = machine;
  store.update(({ timeline: _, ...state }) =>
    machine === undefined ? state : { ...state, timeline: { machine } },
  );
  refreshTimeline();
}

/** Reads the shown timeline anew. */
export function refreshTimeline(): void {
  current?.abort();
  clearTimeout(timer);
  if (shown === undefined) return;
  current = new AbortController();
  void load(shown, current.signal);
}

async function load(machine: string, signal: AbortSignal): Promise<void> {
  const path = `v1/machines/${encodeURIComponent(machine)}/checkpoints?limit=${MOST_POINTS}`;
  try {
    const points = await ask<TimelineEntry[]>('GET', path, undefined, signal);
    store.update((state) => {
      // What came as an event while the answer was on its way is newer than the answer.
      const last = points.at(-1)?.sequence ?? -1;
      const newer = state.timeline?.points?.filter(({ sequence }) => sequence > last) ?? [];
      return { ...state, timeline: { machine, points: [...points, ...newer] } };
    });
  } catch (error) {
    if (signal.aborted) return;
    const problem = asRequestError(error);
    store.update((state) => {
      // What is known stays; that the daemon is away is said for the whole page.
      if (problem.code === 'UNREACHABLE' && state.timeline?.points) return state;
      return { ...state, timeline: { ...state.timeline, machine, problem } };
    });
  }
  if (!signal.aborted) timer = setTimeout(refreshTimeline, REFRESH_MS);
}
