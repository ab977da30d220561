import { PAGE_SIZE } from '@fitdoc/interface';
import { damaged } from './errors.js';
import type { Scratch } from './scratch.js';

// Not a multiple of a word's size, so that upper and lower halves take part.
const HASH_STRIDE = 132;

/** Whole pages, each different one once. */
export interface DistinctPages {
  /** The distinct pages, in the order of their first appearance. */
  readonly pages: Uint8Array;
  /** For each whole page the index of its distinct page as u16 little-endian; empty when all are distinct. */
  readonly copies: Uint8Array;
}

/** Finds equal pages by a hash, and compares before it believes the hash. The result may lie in `scratch`. */
export function separateCopies(pages: Uint8Array, scratch: Scratch): DistinctPages {
  const count = pages.length / PAGE_SIZE;
  const candidates = new Map<number, number[]>();
  const references = new Uint16Array(count);
  const firstSeen: number[] = [];
  const view = new DataView(pages.buffer, pages.byteOffset, pages.byteLength);
  for (let page = 0; page < count; page += 1) {
    const hash = hashPage(view, page);
    const bucket = candidates.get(hash);
    const twin = bucket?.find((distinct) => samePage(pages, firstSeen[distinct] as number, page));
    references[page] = twin ?? firstSeen.length;
    if (twin !== undefined) continue;
    if (bucket) bucket.push(firstSeen.length);
    else candidates.set(hash, [firstSeen.length]);
    firstSeen.push(page);
  }
  if (firstSeen.length === count) return { pages, copies: new Uint8Array(0) };
  const distinct = scratch.take('pages', firstSeen.length * PAGE_SIZE);
  for (let index = 0; index < firstSeen.length;) {
    const page = firstSeen[index] as number;
    let length = 1;
    while (firstSeen[index + length] === page + length) length += 1;
    distinct.set(pages.subarray(page * PAGE_SIZE, (page + length) * PAGE_SIZE), index * PAGE_SIZE);
    index += length;
  }
  return { pages: distinct, copies: littleEndian(references) };
}

/** The inverse of `separateCopies` for `count` whole pages; both lengths were checked against `count`. */
export function restoreCopies(distinct: Uint8Array, copies: Uint8Array, count: number): Uint8Array {
  const distinctCount = distinct.length / PAGE_SIZE;
  if (copies.length === 0) return distinct;
  const pages = new Uint8Array(count * PAGE_SIZE);
  let seen = 0;
  for (let page = 0; page < count; page += 1) {
    const reference = (copies[page * 2] as number) | ((copies[page * 2 + 1] as number) << 8);
    if (reference > seen || reference >= distinctCount)
      throw damaged('a repeated page names one that is not there');
    if (reference === seen) seen += 1;
    pages.set(pageAt(distinct, reference), page * PAGE_SIZE);
  }
  if (seen !== distinctCount) throw damaged('a stored page belongs to no page number');
  return pages;
}

function pageAt(pages: Uint8Array, page: number): Uint8Array {
  return pages.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
}

function samePage(pages: Uint8Array, left: number, right: number): boolean {
  return Buffer.compare(pageAt(pages, left), pageAt(pages, right)) === 0;
}

// A few bytes out of each page tell pages apart in practice; equality is decided by comparing.
function hashPage(pages: DataView, page: number): number {
  let hash = 0x811c9dc5;
  const end = (page + 1) * PAGE_SIZE;
  for (let at = page * PAGE_SIZE; at <= end - 4; at += HASH_STRIDE) {
    hash = Math.imul(hash ^ pages.getInt32(at, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

function littleEndian(values: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 2);
  values.forEach((value, index) => {
    bytes[index * 2] = value & 0xff;
    bytes[index * 2 + 1] = value >> 8;
  });
  return bytes;
}
