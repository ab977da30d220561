import { PAGE_SIZE } from '@fitdoc/interface';

const GRANULES = PAGE_SIZE / 4;
const LONGEST_RUN = 127;
const SKIP = 0x80;
const UNCHANGED_PAGE = 0;

/** No page takes more: all of it and a header for each of nine runs. */
export const REMUS_MOST = PAGE_SIZE + 9;

/**
 * Remus's checkpoint compression as Xen 4.2 to 4.4 had it (tools/libxc/xc_compression.c; Rajagopalan, 2011),
 * with a cache that holds every page: a page as runs of 4-byte granules, each run a header byte (its length, at
 * most 127; the top bit for granules that did not change) and, if changed, the new granules. One zero byte
 * for a page in which nothing changed. Returns the bytes written to `out` from `at`.
 */
export function remusEncode(next: Uint8Array, previous: Uint8Array, out: Uint8Array, at: number): number {
  const newer = granules(next);
  const older = granules(previous);
  let to = at;
  let skipped = 0;
  for (let start = 0; start < GRANULES;) {
    const changed = newer[start] !== older[start];
    const limit = Math.min(GRANULES, start + LONGEST_RUN);
    let end = start + 1;
    while (end < limit && (newer[end] !== older[end]) === changed) end += 1;
    if (changed) {
      out[to++] = end - start;
      out.set(next.subarray(start * 4, end * 4), to);
      to += (end - start) * 4;
    } else {
      out[to++] = SKIP | (end - start);
      skipped += end - start;
    }
    start = end;
  }
  if (skipped < GRANULES) return to - at;
  out[at] = UNCHANGED_PAGE;
  return 1;
}

/** Brings `page` up to date from what `remusEncode` wrote for it. */
export function remusDecode(encoded: Uint8Array, page: Uint8Array): void {
  if (encoded.length === 1 && encoded[0] === UNCHANGED_PAGE) return;
  let offset = 0;
  for (let at = 0; at < encoded.length;) {
    const header = encoded[at++] as number;
    const length = (header & LONGEST_RUN) * 4;
    if ((header & SKIP) === 0) {
      page.set(encoded.subarray(at, at + length), offset);
      at += length;
    }
    offset += length;
  }
}

function granules(page: Uint8Array): Int32Array {
  return new Int32Array(page.buffer, page.byteOffset, GRANULES);
}
