import { PAGE_SIZE } from '@fitdoc/interface';

/**
 * QEMU's XBZRLE (docs/devel/migration; Svärd and others, VEE 2011): a page as pairs of an unchanged and a
 * changed run of bytes, each headed by its length as ULEB128, the changed one followed by the new bytes. What is
 * unchanged at the end is left out, so a page in which nothing changed takes nothing. Returns the bytes written
 * to `out` from `at`, or -1 when they would be more than the page (it is then sent whole).
 */
export function xbzrleEncode(next: Uint8Array, previous: Uint8Array, out: Uint8Array, at: number): number {
  const end = at + PAGE_SIZE;
  let to = at;
  let offset = 0;
  while (offset < PAGE_SIZE) {
    const changedFrom = skipEqual(next, previous, offset);
    if (changedFrom === PAGE_SIZE) break;
    const changedTo = skipDifferent(next, previous, changedFrom);
    const length = changedTo - changedFrom;
    if (to + 4 + length > end) return -1;
    to = putLength(out, to, changedFrom - offset);
    to = putLength(out, to, length);
    out.set(next.subarray(changedFrom, changedTo), to);
    to += length;
    offset = changedTo;
  }
  return to - at;
}

/** Brings `page` up to date from what `xbzrleEncode` wrote for it. */
export function xbzrleDecode(encoded: Uint8Array, page: Uint8Array): void {
  const cursor = { encoded, at: 0 };
  for (let offset = 0; cursor.at < encoded.length;) {
    offset += takeLength(cursor);
    const length = takeLength(cursor);
    page.set(encoded.subarray(cursor.at, cursor.at + length), offset);
    cursor.at += length;
    offset += length;
  }
}

function skipEqual(next: Uint8Array, previous: Uint8Array, from: number): number {
  let at = from;
  while (at < PAGE_SIZE && next[at] === previous[at]) at += 1;
  return at;
}

function skipDifferent(next: Uint8Array, previous: Uint8Array, from: number): number {
  let at = from;
  while (at < PAGE_SIZE && next[at] !== previous[at]) at += 1;
  return at;
}

// Lengths are at most 4096, so two bytes hold any of them.
function putLength(out: Uint8Array, at: number, length: number): number {
  if (length < 0x80) {
    out[at] = length;
    return at + 1;
  }
  out[at] = (length & 0x7f) | 0x80;
  out[at + 1] = length >> 7;
  return at + 2;
}

function takeLength(cursor: { readonly encoded: Uint8Array; at: number }): number {
  const first = cursor.encoded[cursor.at++] as number;
  if (first < 0x80) return first;
  return (first & 0x7f) | ((cursor.encoded[cursor.at++] as number) << 7);
}
