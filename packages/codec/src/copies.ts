import { PAGE_SIZE } from '@fitdoc/interface';
import { damaged } from './errors.js';

/** Whole pages, each different one once. */
export interface DistinctPages {
  /** The distinct pages, in the order of their first appearance. */
  readonly pages: Uint8Array;
  /** For each whole page the index of its distinct page as u16 little-endian; empty when all are distinct. */
  readonly copies: Uint8Array;
}

/** Finds equal pages by a hash, and compares before it believes the hash. */
export function separateCopies(pages: Uint8Array): DistinctPages {
  const count = pages.length / PAGE_SIZE;
  const candidates = new Map<number, number[]>();
  const references = new Uint16Array(count);
  const firstSeen: number[] = [];
  for (let page = 0; page < count; page += 1) {
    const hash = hashPage(pages, page);
    const bucket = candidates.get(hash);
    const twin = bucket?.find((distinct) => samePage(pages, firstSeen[distinct] as number, page));
    references[page] = twin ?? firstSeen.length;
    if (twin !== undefined) continue;
    if (bucket) bucket.push(firstSeen.length);
    else candidates.set(hash, [firstSeen.length]);
    firstSeen.push(page);
  }
  if (firstSeen.length === count) return { pages, copies: new Uint8Array(0) };
  const distinct = new Uint8Array(firstSeen.length * PAGE_SIZE);
  firstSeen.forEach((page, index) => distinct.set(pageAt(pages, page), index * PAGE_SIZE));
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

// Every fourth word is enough to tell pages apart in practice; equality is decided by comparing.
function hashPage(pages: Uint8Array, page: number): number {
  const view = new DataView(pages.buffer, pages.byteOffset + page * PAGE_SIZE, PAGE_SIZE);
  let hash = 0x811c9dc5;
  for (let at = 0; at < PAGE_SIZE; at += 16) {
    hash = Math.imul(hash ^ view.getUint32(at, true), 0x9e3779b1);
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
