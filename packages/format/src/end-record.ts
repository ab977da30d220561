import { dataView, equalBytes, readSafeUint64 } from './bytes.js';
import { beyondLimit, damaged, truncated } from './failures.js';
import {
  align8,
  CLOSING_MAGIC,
  END_PAYLOAD_SIZE,
  END_SIZE,
  HASH_SIZE,
  INDEX_ENTRY_SIZE,
  PREFIX_SIZE,
  RECORD_END,
  RECORD_HEADER_SIZE,
  recordSize,
} from './layout.js';
import { LIMITS } from './limits.js';
import { checkVersion } from './prefix.js';
import { decodeRecordHeader, sealedRecord } from './record.js';
import { recordChecksum } from './seal.js';

/** What the END record says: where index and summary lie, and the hashes that all else hangs on. */
export interface EndRecord {
  readonly indexOffset: number;
  readonly indexLength: number;
  readonly summaryOffset: number;
  readonly summaryLength: number;
  /** Bytes of the whole object. */
  readonly size: number;
  readonly indexHash: Uint8Array;
  readonly contentHash: Uint8Array;
  readonly formatVersion: number;
  /** Records before the index. */
  readonly records: number;
}

/** The END record as it is written: the last 128 bytes of the object. */
export function encodeEnd(end: EndRecord): Uint8Array {
  const payload = new Uint8Array(END_PAYLOAD_SIZE);
  const view = dataView(payload);
  view.setBigUint64(0, BigInt(end.indexOffset), true);
  view.setBigUint64(8, BigInt(end.summaryOffset), true);
  view.setUint32(16, end.indexLength, true);
  view.setUint32(20, end.summaryLength, true);
  view.setBigUint64(24, BigInt(end.size), true);
  payload.set(end.indexHash, 32);
  payload.set(end.contentHash, 64);
  view.setUint32(96, end.formatVersion, true);
  view.setUint32(100, end.records, true);
  payload.set(CLOSING_MAGIC, 104);
  return sealedRecord(RECORD_END, payload);
}

/**
 * Reads the END record from the last bytes of an object of `size` bytes.
 * Errors: FORMAT_TRUNCATED when no END record is there, FORMAT_DAMAGED, FORMAT_VERSION, FORMAT_LIMIT.
 */
export function decodeEnd(tail: Uint8Array, size: number): EndRecord {
  const record = tail.subarray(Math.max(0, tail.length - END_SIZE));
  if (record.length < END_SIZE) throw truncated(`An object of ${size} bytes holds no complete checkpoint.`);
  const header = decodeRecordHeader(record);
  const payload = record.subarray(RECORD_HEADER_SIZE);
  const closed = equalBytes(payload.subarray(104), CLOSING_MAGIC);
  const begun = header.type === RECORD_END && header.length === END_PAYLOAD_SIZE;
  if (!closed && !begun) throw truncated('The object does not end with an END record.');
  if (!closed || !begun || recordChecksum(RECORD_END, payload) !== header.checksum) {
    throw damaged('The END record is damaged.', { details: { offset: size - END_SIZE } });
  }
  const view = dataView(payload);
  const formatVersion = checkVersion(view.getUint32(96, true));
  return checkEnd(
    {
      indexOffset: readSafeUint64(view, 0) ?? 0,
      summaryOffset: readSafeUint64(view, 8) ?? 0,
      indexLength: view.getUint32(16, true),
      summaryLength: view.getUint32(20, true),
      size: readSafeUint64(view, 24) ?? 0,
      indexHash: payload.slice(32, 32 + HASH_SIZE),
      contentHash: payload.slice(64, 64 + HASH_SIZE),
      formatVersion,
      records: view.getUint32(100, true),
    },
    size,
  );
}

function checkEnd(end: EndRecord, size: number): EndRecord {
  if (end.size > size) throw truncated(`The object has ${size} bytes of ${end.size}.`);
  if (end.size < size) throw damaged(`The object has ${size} bytes, and should have ${end.size}.`);
  if (end.records > LIMITS.records) throw beyondLimit('The number of records', end.records, LIMITS.records);
  if (end.summaryLength > LIMITS.summary) throw beyondLimit('The summary', end.summaryLength, LIMITS.summary);
  const fits =
    end.indexOffset >= PREFIX_SIZE &&
    end.indexLength === end.records * INDEX_ENTRY_SIZE &&
    end.summaryOffset === end.indexOffset + recordSize(end.indexLength) &&
    end.summaryOffset + RECORD_HEADER_SIZE + align8(end.summaryLength) + END_SIZE === size;
  if (!fits) throw damaged('The END record does not fit the object.');
  return end;
}
