import { FitdocError } from './errors.js';

/** How much of what an earlier increment brought is still expected after one that brought less. */
const FADES = 0.9;

/**
 * For adapters that cannot count a guest's dirty pages before its pause: how many an increment will bring, by what the
 * last ones brought and by the time that has passed. A guest writes to most of its pages again and again, so it is taken
 * to reach new ones with the square root of that time.
 */
export class DirtyForecast {
  #pages: number | undefined;
  #intervalMs = 0;
  #lastAtMs: number | undefined;

  /** Notes a capture of the guest as it was at `atMs`; `pages` only of an increment. */
  learn(atMs: number, pages?: number): void {
    if (pages === undefined) {
      // Nobody has seen lately what an increment brings: one is tried again at some time.
      if (this.#pages !== undefined) this.#pages *= FADES;
    } else {
      this.#pages = Math.max(pages, (this.#pages ?? 0) * FADES);
      if (this.#lastAtMs !== undefined) this.#intervalMs = atMs - this.#lastAtMs;
    }
    this.#lastAtMs = atMs;
  }

  /** Pages of an increment at `nowMs`; undefined before anything was learnt of one. */
  estimate(nowMs: number): number | undefined {
    if (this.#pages === undefined || this.#lastAtMs === undefined) return undefined;
    const longer = (nowMs - this.#lastAtMs) / Math.max(1, this.#intervalMs);
    return Math.ceil(this.#pages * Math.sqrt(Math.max(1, longer)));
  }
}

/** The error of a capture whose pages have no room in the sink (`PageSink.prepare`): it has not begun its pause. */
export function noRoomForPause(pages: number): FitdocError {
  return new FitdocError('MEMORY_BUDGET', `There is no memory for the ${pages} pages that the guest wrote.`, {
    retryable: true,
    hint: 'The guest was not paused. Raise the memory budget (--memory, or memory under [daemon]), or take checkpoints more often.',
    details: { pages },
  });
}
