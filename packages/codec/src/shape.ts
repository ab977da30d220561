import {
  KIND_WHOLE,
  KIND_WORDS,
  KIND_ZERO,
  MASK_SIZE,
  MAX_BATCH_PAGES,
  PAGE_SIZE,
  WORD_SIZE,
} from '@fitdoc/interface';
import type { PageBatch } from '@fitdoc/interface';
import { invalid } from './errors.js';
import { countMaskBits } from './masks.js';

/** How many pages of each kind a batch has. */
export interface KindCounts {
  readonly zero: number;
  readonly whole: number;
  readonly words: number;
}

/** Counts the kinds, or undefined when one of them may not be in a batch. */
export function countKinds(kinds: Uint8Array): KindCounts | undefined {
  const counts = [0, 0, 0, 0];
  for (const kind of kinds) {
    if (kind !== KIND_ZERO && kind !== KIND_WHOLE && kind !== KIND_WORDS) return undefined;
    counts[kind] = (counts[kind] as number) + 1;
  }
  const [, zero = 0, whole = 0, words = 0] = counts;
  return { zero, whole, words };
}

/** Holds a batch to its contract, all but the order of its page numbers. Throws ARGUMENT_INVALID. */
export function checkShape(batch: PageBatch): KindCounts {
  const pages = batch.gfns.length;
  if (pages > MAX_BATCH_PAGES)
    throw invalid(`A batch has at most ${MAX_BATCH_PAGES} pages, this one ${pages}.`);
  if (batch.kinds.length !== pages)
    throw invalid(`${pages} pages need as many kinds, not ${batch.kinds.length}.`);
  const counts = countKinds(batch.kinds);
  if (!counts) throw invalid('A batch holds zero, whole and words pages only.');
  if (batch.masks.length !== counts.words * MASK_SIZE) throw invalid('The masks do not fit the kinds.');
  if (batch.pages.length !== counts.whole * PAGE_SIZE) throw invalid('The whole pages do not fit the kinds.');
  if (batch.words.length !== countMaskBits(batch.masks) * WORD_SIZE) {
    throw invalid('The words do not fit the masks.');
  }
  return counts;
}
