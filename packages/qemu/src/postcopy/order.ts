import type { PageRun } from '@fitdoc/interface';

/** Pages that are read and sent together when nobody asks for them. */
export const BLOCK_PAGES = 1024;

/**
 * In which order pages are sent that nobody waits for, block after block: those around pages that the guest asked
 * for, then those that were told to be first, then all others, ascending. Each block comes once.
 */
export class PushOrder {
  readonly #stored: readonly PageRun[];
  readonly #pages: number;
  readonly #done = new Set<number>();
  readonly #near: number[] = [];
  readonly #first: number[] = [];
  #next = 0;

  constructor(stored: readonly PageRun[]) {
    this.#stored = stored;
    this.#pages = stored.reduce((end, { start, count }) => Math.max(end, start + count), 0);
  }

  /** Has the blocks of these runs sent before all others, the first of them first. */
  prefer(runs: readonly PageRun[]): void {
    for (const run of runs) this.#first.push(...blocksOf(run));
  }

  /** The guest asked for a page of this block: its neighbours are likely to be next. */
  asked(gfn: number): void {
    this.#near.push(Math.floor(gfn / BLOCK_PAGES));
  }

  /** The next parts to send, all of one block; undefined when every block was given. */
  next(): readonly PageRun[] | undefined {
    for (let block = this.#take(); block !== undefined; block = this.#take()) {
      if (this.#done.has(block)) continue;
      this.#done.add(block);
      const start = block * BLOCK_PAGES;
      const parts = clip(this.#stored, start, start + BLOCK_PAGES);
      if (parts.length > 0) return parts;
    }
    return undefined;
  }

  #take(): number | undefined {
    const block = this.#near.shift() ?? this.#first.shift();
    if (block !== undefined) return block;
    return this.#next * BLOCK_PAGES < this.#pages ? this.#next++ : undefined;
  }
}

function blocksOf({ start, count }: PageRun): number[] {
  const first = Math.floor(start / BLOCK_PAGES);
  const last = Math.floor((start + count - 1) / BLOCK_PAGES);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function clip(runs: readonly PageRun[], start: number, end: number): PageRun[] {
  const parts: PageRun[] = [];
  for (const run of runs) {
    const from = Math.max(run.start, start);
    const to = Math.min(run.start + run.count, end);
    if (from < to) parts.push({ start: from, count: to - from });
  }
  return parts;
}
