import { KIND_WHOLE, KIND_WORDS, KIND_ZERO, MASK_SIZE, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { invalid } from './arguments.js';
import { countBits } from './bits.js';

/** What a batch says of one page; `bytes` are the page's whole content or its new words. */
export interface PageChange {
  readonly gfn: number;
  readonly kind: number;
  readonly mask: Uint8Array;
  readonly bytes: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** Walks through a batch's pages. Errors: ARGUMENT_INVALID when its columns do not fit together. */
export function* changesOf(batch: PageBatch): Generator<PageChange> {
  const { gfns, kinds, masks, words, pages } = batch;
  if (kinds.length !== gfns.length) invalid('The batch has not as many kinds as page numbers.');
  let mask = 0;
  let word = 0;
  let page = 0;
  for (let index = 0; index < gfns.length; index++) {
    const gfn = gfns[index]!;
    const kind = kinds[index]!;
    if (kind === KIND_ZERO) {
      yield { gfn, kind, mask: NOTHING, bytes: NOTHING };
    } else if (kind === KIND_WHOLE) {
      yield { gfn, kind, mask: NOTHING, bytes: column(pages, page, PAGE_SIZE) };
      page += PAGE_SIZE;
    } else if (kind === KIND_WORDS) {
      const bits = column(masks, mask, MASK_SIZE);
      const bytes = column(words, word, bytesOfMask(bits));
      yield { gfn, kind, mask: bits, bytes };
      mask += MASK_SIZE;
      word += bytes.length;
    } else {
      invalid(`Page ${gfn} has kind ${kind}, which no batch may hold.`);
    }
  }
}

function column(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  if (offset + length > bytes.length)
    invalid('A column of the batch is shorter than its kinds and masks ask for.');
  return bytes.subarray(offset, offset + length);
}

function bytesOfMask(mask: Uint8Array): number {
  let words = 0;
  for (let i = 0; i < MASK_SIZE; i += 4) {
    words += countBits(mask[i]! | (mask[i + 1]! << 8) | (mask[i + 2]! << 16) | (mask[i + 3]! << 24));
  }
  return words * 8;
}

/** Writes one change over a page's 4096 bytes. */
export function applyChange(change: PageChange, page: Uint8Array): void {
  if (change.kind === KIND_ZERO) page.fill(0);
  else if (change.kind === KIND_WHOLE) page.set(change.bytes);
  else scatterWords(change.mask, change.bytes, page);
}

/** Puts each run of set mask bits' words in its place. */
function scatterWords(mask: Uint8Array, words: Uint8Array, page: Uint8Array): void {
  let from = 0;
  let word = 0;
  while (word < 512) {
    const byte = mask[word >>> 3]!;
    if ((word & 7) === 0 && byte === 0) {
      word += 8;
      continue;
    }
    if ((byte & (1 << (word & 7))) === 0) {
      word++;
      continue;
    }
    const start = word;
    while (word < 512 && (mask[word >>> 3]! & (1 << (word & 7))) !== 0) word++;
    copyBytes(words, from, page, start * 8, (word - start) * 8);
    from += (word - start) * 8;
  }
}

/** `set` costs about as much as copying 64 bytes by hand. */
function copyBytes(from: Uint8Array, at: number, to: Uint8Array, target: number, length: number): void {
  if (length > 64) {
    to.set(from.subarray(at, at + length), target);
    return;
  }
  for (let i = 0; i < length; i++) to[target + i] = from[at + i]!;
}

/**
 * Applies a batch: writes what it says of each page over what was there.
 *
 * `target` is memory that page 0 starts at, or a function that gives the 4096 bytes of a page. Errors:
 * ARGUMENT_INVALID for a batch whose columns do not fit together or a page beyond the target; pages before
 * it have then been written.
 */
export function applyBatch(batch: PageBatch, target: Uint8Array | ((gfn: number) => Uint8Array)): void {
  const pageOf = typeof target === 'function' ? target : (gfn: number) => pageIn(target, gfn);
  for (const change of changesOf(batch)) applyChange(change, pageOf(change.gfn));
}

function pageIn(target: Uint8Array, gfn: number): Uint8Array {
  const start = gfn * PAGE_SIZE;
  if (start + PAGE_SIZE > target.length) invalid(`Page ${gfn} lies beyond the target's end.`);
  return target.subarray(start, start + PAGE_SIZE);
}
