import { setTimeout as sleep } from 'node:timers/promises';
import type { Taking } from './ways.js';
import type { Work } from './work.js';

/** Milliseconds between two questions of somebody outside. */
const ASK_EVERY_MS = 10;

/** What a guest got done in one turn. */
export interface Done {
  /** Operations a second, by the host's clock. */
  readonly rate: number;
  /** Milliseconds that somebody outside waited, each time. */
  readonly waits: readonly number[];
  readonly checkpoints: number;
}

/** Measures for so long, with checkpoints so many milliseconds from start to start where there are any. */
export async function turn(
  work: Work,
  turnMs: number,
  taking?: { readonly by: Taking; readonly everyMs: number },
): Promise<Done> {
  const waits: number[] = [];
  const ended = new AbortController();
  const asking = work.ask && askOn(work.ask, waits, ended.signal);
  // Awaited in the end.
  asking?.catch(() => undefined);
  const [before, began] = [await work.done(), performance.now()];
  let checkpoints = 0;
  try {
    while (performance.now() - began < turnMs) {
      const nextMs = taking ? began + (checkpoints + 1) * taking.everyMs : Infinity;
      // At least QEMU's own time between two checkpoints.
      await sleep(Math.max(10, Math.min(nextMs, began + turnMs) - performance.now()));
      if (!taking || performance.now() < nextMs) continue;
      await taking.by.checkpoint();
      checkpoints++;
    }
    const rate = (((await work.done()) - before) * 1_000) / (performance.now() - began);
    return { rate, waits, checkpoints };
  } finally {
    ended.abort();
    await asking;
  }
}

async function askOn(ask: () => Promise<void>, waits: number[], ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    const asked = performance.now();
    await ask();
    const waited = performance.now() - asked;
    waits.push(waited);
    await sleep(Math.max(0, ASK_EVERY_MS - waited));
  }
}
