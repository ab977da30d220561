import { encodeEnd, type EndRecord } from '../../src/end-record.js';
import { IndexBuilder, type IndexEntry } from '../../src/index-record.js';
import { END_SIZE, RECORD_INDEX, RECORD_SUMMARY, recordSize } from '../../src/layout.js';
import { encodePrefix } from '../../src/prefix.js';
import { sealedRecord } from '../../src/record.js';
import { contentHashOf, sealRecord, strongHash } from '../../src/seal.js';

/** A record as someone hostile writes it: the claims of the index may be false, its hashes are right. */
export interface ForgedRecord {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly claim?: Partial<IndexEntry>;
}

export interface Forgery {
  readonly records: readonly ForgedRecord[];
  /** Records behind those, of which the index says nothing. */
  readonly unlisted?: readonly ForgedRecord[];
  readonly summary: Uint8Array;
  readonly version?: number;
  readonly end?: Partial<EndRecord>;
}

/** A whole object around the given records: whatever is wrong with it is wrong on purpose. */
export function forge({ records, unlisted = [], summary, version = 1, end = {} }: Forgery): Uint8Array {
  const prefix = encodePrefix(version);
  const parts = [prefix];
  const index = new IndexBuilder();
  let offset = prefix.length;
  for (const { type, payload, claim } of records) {
    const range = { firstGfn: 0, lastGfn: 0, pages: 0, space: 0 };
    index.add({ type, length: payload.length, offset, ...range, ...sealRecord(type, payload), ...claim });
    parts.push(sealedRecord(type, payload));
    offset += recordSize(payload.length);
  }
  for (const { type, payload } of unlisted) {
    parts.push(sealedRecord(type, payload));
    offset += recordSize(payload.length);
  }
  const indexPayload = index.payload();
  parts.push(sealedRecord(RECORD_INDEX, indexPayload), sealedRecord(RECORD_SUMMARY, summary));
  const summaryOffset = offset + recordSize(indexPayload.length);
  const indexHash = strongHash(indexPayload);
  parts.push(
    encodeEnd({
      indexOffset: offset,
      summaryOffset,
      indexLength: indexPayload.length,
      summaryLength: summary.length,
      size: summaryOffset + recordSize(summary.length) + END_SIZE,
      indexHash,
      contentHash: contentHashOf(prefix, indexHash, strongHash(summary)),
      records: index.count,
      formatVersion: version,
      ...end,
    }),
  );
  return new Uint8Array(Buffer.concat(parts));
}
