import { MAX_PAGES } from '@fitdoc/interface';
import { damaged, invalid } from './errors.js';
import { MAX_RUN_BYTES } from './layout.js';

/**
 * Page numbers as runs: per run two LEB128 varints, the distance from the end of the run before (from 0 for
 * the first; less 1 for the others, as runs never touch) and the length less 1.
 */
export function encodeGfns(gfns: Uint32Array): Uint8Array {
  const out = new Uint8Array(gfns.length * MAX_RUN_BYTES);
  let length = 0;
  let end = -1;
  for (let index = 0; index < gfns.length;) {
    const start = gfns[index] ?? 0;
    let count = 1;
    while (gfns[index + count] === start + count) count += 1;
    if (start <= end || start + count > MAX_PAGES) {
      throw invalid(`Page numbers must ascend and stay below ${MAX_PAGES}; found ${start} at ${index}.`);
    }
    length = putVarint(out, length, start - end - 1);
    length = putVarint(out, length, count - 1);
    end = start + count;
    index += count;
  }
  return out.subarray(0, length);
}

/** The inverse of `encodeGfns` for exactly `pages` page numbers; only the shortest encoding is accepted. */
export function decodeGfns(bytes: Uint8Array, pages: number): Uint32Array {
  const gfns = new Uint32Array(pages);
  const cursor = { bytes, at: 0 };
  let filled = 0;
  let end = -1;
  while (filled < pages) {
    const start = end + 1 + takeVarint(cursor);
    const count = takeVarint(cursor) + 1;
    if (count > pages - filled) throw damaged('its page runs hold more pages than it has');
    if (start + count > MAX_PAGES) throw damaged(`a page number is not below ${MAX_PAGES}`);
    for (let index = 0; index < count; index += 1) gfns[filled + index] = start + index;
    filled += count;
    end = start + count;
  }
  if (cursor.at !== bytes.length) throw damaged('bytes follow its last page run');
  return gfns;
}

function putVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest > 0x7f) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

function takeVarint(cursor: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let shift = 0; shift <= 28; shift += 7) {
    const byte = cursor.bytes[cursor.at];
    if (byte === undefined) throw damaged('a page run is cut off');
    cursor.at += 1;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) {
      if (byte === 0 && shift > 0) throw damaged('a number is written longer than needed');
      return value;
    }
  }
  throw damaged('a number is longer than five bytes');
}
