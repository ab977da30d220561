import { countBits, lowestBit } from '../bits.js';
import type { Shard } from '../shard.js';

/** Number of pages of a shard whose content takes memory. */
export function residentPages({ touched, residency }: Shard): number {
  let pages = 0;
  for (let word = 0; word < touched.length; word++) {
    const live = touched[word]! & ~residency.cold[word]!;
    if (live !== 0) pages += countBits(live);
  }
  return pages;
}

/** Number of pages of a shard with a pending change. */
export function pendingPages({ pending }: Shard): number {
  let pages = 0;
  for (const word of pending) if (word !== 0) pages += countBits(word);
  return pages;
}

/**
 * Chooses pages to give memory back: first those that the last capture did not bring, then of those that it did, each
 * time from where the last choice ended. Pages that wait to be compared are left alone. Not the least recently used:
 * where the pages of an epoch exceed the memory, those would be the very ones that come next.
 */
export class Victims {
  #shard = 0;
  #word = 0;

  /** Up to `count` pages, ascending, by shard. */
  choose(shards: readonly Shard[], count: number): Map<Shard, Uint32Array> {
    const found = new Map<Shard, number[]>();
    const left = this.#goRound(shards, count, ({ placed }, word) => ~placed[word]!, found);
    if (left > 0) this.#goRound(shards, left, ({ placed }, word) => placed[word]!, found);
    return new Map([...found].map(([shard, pages]) => [shard, Uint32Array.from(pages).sort()]));
  }

  #goRound(
    shards: readonly Shard[],
    count: number,
    among: (shard: Shard, word: number) => number,
    found: Map<Shard, number[]>,
  ): number {
    let left = count;
    const words = shards.reduce((sum, { layout }) => sum + layout.bitmapWords, 0);
    for (let looked = 0; looked < words && left > 0; looked++) {
      const shard = shards[this.#shard]!;
      const word = this.#word;
      this.#step(shards);
      const { touched, staged, residency } = shard;
      let live = touched[word]! & ~residency.cold[word]! & ~staged[word]! & among(shard, word);
      if (live === 0) continue;
      let pages = found.get(shard);
      if (!pages) found.set(shard, (pages = []));
      for (; live !== 0 && left > 0; live &= live - 1, left--) pages.push(word * 32 + lowestBit(live));
    }
    return left;
  }

  #step(shards: readonly Shard[]): void {
    if (++this.#word < shards[this.#shard]!.layout.bitmapWords) return;
    this.#word = 0;
    this.#shard = (this.#shard + 1) % shards.length;
  }
}
