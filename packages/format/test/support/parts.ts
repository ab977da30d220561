import { decodeIndex, type IndexEntry } from '../../src/index-record.js';
import { decodeEnd } from '../../src/end-record.js';
import { RECORD_HEADER_SIZE } from '../../src/layout.js';
import type { ForgedRecord } from './forge.js';

const payloadAt = (bytes: Uint8Array, offset: number, length: number) =>
  bytes.slice(offset + RECORD_HEADER_SIZE, offset + RECORD_HEADER_SIZE + length);

export interface Parts {
  readonly records: (ForgedRecord & { readonly claim: Partial<IndexEntry> })[];
  readonly summary: Uint8Array;
}

/** Takes a valid checkpoint apart, to be forged together again with something changed. */
export function takeApart(bytes: Uint8Array): Parts {
  const end = decodeEnd(bytes, bytes.length);
  const index = payloadAt(bytes, end.indexOffset, end.indexLength);
  const records = decodeIndex(index, end.indexOffset).map(
    ({ type, offset, length, firstGfn, lastGfn, pages, space }) => ({
      type,
      payload: payloadAt(bytes, offset, length),
      claim: { firstGfn, lastGfn, pages, space },
    }),
  );
  return { records, summary: payloadAt(bytes, end.summaryOffset, end.summaryLength) };
}
