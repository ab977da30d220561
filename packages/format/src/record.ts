import { dataView, isZero } from './bytes.js';
import { damaged } from './failures.js';
import { align8, RECORD_HEADER_SIZE, typeName } from './layout.js';
import { recordChecksum } from './seal.js';

/** A record's header: what stands before its payload. */
export interface RecordHeader {
  readonly type: number;
  /** Bytes of the payload. */
  readonly length: number;
  readonly checksum: bigint;
}

export function encodeRecordHeader(header: RecordHeader): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_SIZE);
  const view = dataView(bytes);
  view.setUint32(0, header.type, true);
  view.setUint32(4, header.length, true);
  view.setBigUint64(8, header.checksum, true);
  return bytes;
}

export function decodeRecordHeader(bytes: Uint8Array, at = 0): RecordHeader {
  const view = dataView(bytes);
  return {
    type: view.getUint32(at, true),
    length: view.getUint32(at + 4, true),
    checksum: view.getBigUint64(at + 8, true),
  };
}

/**
 * The payload of a record, verified: its header is the one that the index or the END record names, its checksum
 * is right and zeros pad it. `body` is what follows the header, padding and all; the result is a view of it.
 */
export function openRecord(
  head: Uint8Array,
  body: Uint8Array,
  expected: RecordHeader,
  offset: number,
): Uint8Array {
  const header = decodeRecordHeader(head);
  const name = `The ${typeName(expected.type)} record at byte ${offset}`;
  const details = { offset, type: typeName(expected.type) };
  if (header.type !== expected.type || header.length !== expected.length) {
    throw damaged(`${name} has a damaged header.`, { details });
  }
  const payload = body.subarray(0, header.length);
  if (header.checksum !== expected.checksum || recordChecksum(header.type, payload) !== header.checksum) {
    throw damaged(`${name} does not match its checksum.`, { details });
  }
  if (!isZero(body.subarray(header.length, align8(header.length)))) {
    throw damaged(`${name} is not followed by zeros.`, { details });
  }
  return payload;
}

/** The same for a record in one piece. */
export function openWholeRecord(record: Uint8Array, expected: RecordHeader, offset: number): Uint8Array {
  return openRecord(record, record.subarray(RECORD_HEADER_SIZE), expected, offset);
}

/** A small record as it is written: header, payload, padding. */
export function sealedRecord(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_SIZE + align8(payload.length));
  bytes.set(encodeRecordHeader({ type, length: payload.length, checksum: recordChecksum(type, payload) }));
  bytes.set(payload, RECORD_HEADER_SIZE);
  return bytes;
}
