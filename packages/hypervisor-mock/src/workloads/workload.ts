import type { GuestMemory } from '../guest-memory.js';
import type { Random } from '../random.js';
import type { Shape } from '../shape.js';

/** What a workload sees of its machine: nothing else may steer it, or a restored machine would differ. */
export interface Guest {
  readonly memory: GuestMemory;
  readonly random: Random;
  readonly shape: Shape;
  /** Sixteen words of 32 bits that last from step to step. */
  readonly registers: Uint32Array;
  /** First page and number of pages of the working set. */
  readonly heap: { readonly start: number; readonly pages: number };
  readonly step: number;
}

/** Changes the page `gfn`, which holds real content, by about `shape.words` words. */
export type ChangePage = (guest: Guest, gfn: number) => void;

/** A seeded program: one step dirties about `shape.rate` pages. */
export type Step = (guest: Guest) => void;

/**
 * Visits `shape.rate` pages in runs of about `shape.cluster`, the start of each chosen by `choose` (a page of
 * the heap); the share `shape.rewrites` of them is touched only.
 */
export function visit(guest: Guest, choose: (pages: number) => number, change: ChangePage): void {
  const { heap, memory, random, shape } = guest;
  for (let left = shape.rate; left > 0;) {
    const run = Math.min(left, random.around(shape.cluster), heap.pages);
    const start = choose(heap.pages);
    for (let i = 0; i < run; i++) {
      const gfn = heap.start + ((start + i) % heap.pages);
      if (random.chance(shape.rewrites)) memory.touch(gfn);
      else change(guest, gfn);
    }
    left -= run;
  }
}

/** Half a word of lower-case text, as strings in a heap are: two bits of noise a letter. */
export function letters(random: Random): number {
  return 0x61616161 + (random.next() & 0x03030303) * 4 + (random.next() & 0x01010101);
}
