import { isFitdocError } from '@fitdoc/interface';
import { equalBytes, toHex } from './bytes.js';
import { decodeEnd, type EndRecord } from './end-record.js';
import { damaged } from './failures.js';
import { PREFIX_SIZE, RECORD_HEADER_SIZE, RECORD_SUMMARY, recordSize } from './layout.js';
import { decodePrefix, encodePrefix } from './prefix.js';
import { readExactly, type RangedSource } from './ranged-source.js';
import { decodeRecordHeader, openWholeRecord } from './record.js';
import { contentHashOf, strongHash } from './seal.js';
import { completeSummary, decodeSummary, type StoredSummary } from './summary-record.js';
import type { CheckpointSummary } from './types.js';

export interface TailOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the first read of the object's end: 4 KiB to 16 MiB. Default 16 KiB. */
  readonly tailBytes?: number;
}

/** The last bytes of an object, and what they say. */
export interface Tail {
  /** Where `bytes` begin in the object. */
  readonly from: number;
  readonly bytes: Uint8Array;
  readonly end: EndRecord;
  readonly stored: StoredSummary;
  readonly summary: CheckpointSummary;
}

const DEFAULT_TAIL = 16 << 10;

/** Bytes that the first read of an object's end asks for. */
export function tailLength(size: number, { tailBytes = DEFAULT_TAIL }: TailOptions): number {
  return Math.min(size, Math.max(tailBytes, 4 << 10), 16 << 20);
}

/**
 * Reads a checkpoint's summary, by one ranged read where the tail holds it (two where the metrics are large).
 * The summary is verified against the content hash. Errors: FORMAT_FOREIGN, FORMAT_VERSION, FORMAT_TRUNCATED,
 * FORMAT_DAMAGED, FORMAT_LIMIT, ABORTED and the source's.
 */
export async function readSummary(
  source: RangedSource,
  options: TailOptions = {},
): Promise<CheckpointSummary> {
  return (await readTail(source, options)).summary;
}

export async function readTail(source: RangedSource, options: TailOptions): Promise<Tail> {
  let from = source.size - tailLength(source.size, options);
  let bytes = await readExactly(source, from, source.size - from, options.signal);
  const end = await endOf(source, bytes, options.signal);
  if (end.summaryOffset < from) {
    const more = await readExactly(source, end.summaryOffset, from - end.summaryOffset, options.signal);
    const joined = new Uint8Array(more.length + bytes.length);
    joined.set(more);
    joined.set(bytes, more.length);
    [from, bytes] = [end.summaryOffset, joined];
  }
  const at = end.summaryOffset - from;
  const stored = openSummary(bytes.subarray(at, at + recordSize(end.summaryLength)), end);
  const { formatVersion } = end;
  const object = { contentHash: toHex(end.contentHash), bytes: source.size, formatVersion };
  return { from, bytes, end, stored, summary: completeSummary(stored, object) };
}

/**
 * The END record. Where there is none that this reader knows, the object's first bytes tell whether it is cut
 * off, damaged, foreign, or of a version whose END is another.
 */
async function endOf(source: RangedSource, tail: Uint8Array, signal?: AbortSignal): Promise<EndRecord> {
  try {
    return decodeEnd(tail, source.size);
  } catch (error) {
    if (!isFitdocError(error, 'FORMAT_TRUNCATED') && !isFitdocError(error, 'FORMAT_DAMAGED')) throw error;
    decodePrefix(await readExactly(source, 0, Math.min(PREFIX_SIZE, source.size), signal));
    throw error;
  }
}

function openSummary(record: Uint8Array, end: EndRecord): StoredSummary {
  // Nothing but the record itself says what its checksum is; the content hash holds all of it.
  const expected = { ...decodeRecordHeader(record), type: RECORD_SUMMARY, length: end.summaryLength };
  const payload = openWholeRecord(record, expected, end.summaryOffset);
  const prefix = encodePrefix(end.formatVersion);
  if (!equalBytes(contentHashOf(prefix, end.indexHash, strongHash(payload)), end.contentHash)) {
    throw damaged('The content hash is not that of index and summary.', {
      details: { offset: end.summaryOffset + RECORD_HEADER_SIZE },
    });
  }
  return decodeSummary(payload);
}
