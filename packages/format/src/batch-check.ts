import type { PageBatch } from '@fitdoc/interface';
import { damaged } from './failures.js';
import type { IndexEntry } from './index-record.js';
import type { BatchCodec } from './types.js';

/** Decodes a batch whose bytes are verified, and holds its pages against the index. FORMAT_DAMAGED besides the codec's. */
export function decodeBatch(
  bytes: Uint8Array,
  entry: Pick<IndexEntry, 'firstGfn' | 'lastGfn' | 'pages' | 'offset'>,
  codec: BatchCodec,
): PageBatch {
  const batch = codec.decode(bytes);
  const { gfns } = batch;
  if (gfns.length !== entry.pages || gfns[0] !== entry.firstGfn || gfns.at(-1) !== entry.lastGfn) {
    throw damaged(`The batch at byte ${entry.offset} holds other pages than the index says.`, {
      details: { offset: entry.offset, firstGfn: entry.firstGfn, lastGfn: entry.lastGfn },
    });
  }
  return batch;
}
