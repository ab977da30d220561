import { isFitdocError, totalPages } from '@fitdoc/interface';
import { equalBytes } from './bytes.js';
import { canonicalJson } from './canonical-json.js';
import { checkDiskTotals } from './disk-totals.js';
import { beyondLimit, damaged, unsupported } from './failures.js';
import { decodeHeader } from './header-record.js';
import { decodeIndex, type IndexEntry } from './index-record.js';
import {
  baseType,
  isOptional,
  PREFIX_SIZE,
  RECORD_BATCH,
  RECORD_DEVICE_STATE,
  RECORD_DISK,
  RECORD_END,
  RECORD_EXTENSION,
  RECORD_HEADER,
  RECORD_INDEX,
  RECORD_SUMMARY,
  recordSize,
  typeName,
} from './layout.js';
import { LIMITS } from './limits.js';
import { decodePrefix } from './prefix.js';
import { readExactly, type RangedSource } from './ranged-source.js';
import { decodeRecordHeader, openWholeRecord } from './record.js';
import { strongHash } from './seal.js';
import { headerEssentials, type StoredSummary } from './summary-record.js';
import { readTail, tailLength, type Tail, type TailOptions } from './tail.js';
import type { CheckpointHeader, CheckpointSummary } from './types.js';

/** What a reader knows of a checkpoint before it reads a page of it. */
export interface Structure {
  readonly header: CheckpointHeader;
  readonly summary: CheckpointSummary;
  readonly entries: readonly IndexEntry[];
  /** All of the object, where it is so small that it was read whole. */
  readonly whole?: Uint8Array;
}

const HEAD_READ = 16 << 10;
/** Objects up to this size that were read whole are kept: what else is read of them costs no request. */
const MOST_KEPT = 16 << 10;

const CAPS: Readonly<Record<number, number>> = {
  [RECORD_HEADER]: LIMITS.header,
  [RECORD_BATCH]: LIMITS.batch,
  [RECORD_DISK]: LIMITS.blocks,
  [RECORD_DEVICE_STATE]: LIMITS.deviceStateRecord,
  [RECORD_EXTENSION]: LIMITS.extension,
};

/**
 * Reads and verifies a checkpoint's structure: its first and last bytes at once, then the rest of the index
 * where it is longer than the tail. A small object is read whole, once.
 */
export async function openStructure(source: RangedSource, options: TailOptions): Promise<Structure> {
  const small = tailLength(source.size, options) === source.size;
  const [headRead, tailRead] = await Promise.allSettled([
    small ? undefined : readExactly(source, 0, Math.min(HEAD_READ, source.size), options.signal),
    readTail(source, options),
  ]);
  if (tailRead.status === 'rejected') {
    if (isFitdocError(tailRead.reason) && headRead.status === 'fulfilled' && headRead.value) {
      decodePrefix(headRead.value);
    }
    throw tailRead.reason;
  }
  if (headRead.status === 'rejected') throw headRead.reason;
  const tail = tailRead.value;
  const head = headRead.value ?? tail.bytes;
  const formatVersion = decodePrefix(head);
  if (formatVersion !== tail.end.formatVersion) throw damaged('Beginning and end name different versions.');
  const entries = decodeIndex(await readIndex(source, tail, options.signal), tail.end.indexOffset);
  for (const entry of entries) {
    checkType(entry);
    checkLength(entry);
  }
  const header = decodeHeader(await readHeader(source, head, entries, options.signal), formatVersion);
  checkTotals(header, tail.stored, entries);
  const whole = small && source.size <= MOST_KEPT ? { whole: tail.bytes } : {};
  return { header, summary: tail.summary, entries, ...whole };
}

type Placed = Pick<IndexEntry, 'type' | 'length' | 'offset'>;

/** Holds a record's length against the cap of its type, before it is read. FORMAT_LIMIT. */
export function checkLength({ type, length, offset }: Placed): void {
  const limit = CAPS[baseType(type)] ?? LIMITS.unknown;
  if (length > limit) throw beyondLimit(`The ${typeName(type)} record at byte ${offset}`, length, limit);
}

/**
 * Refuses records out of place (FORMAT_DAMAGED) and those that may not be skipped and are not known
 * (FORMAT_UNSUPPORTED). The type must be verified: by the record's checksum, or by the index's hash.
 */
export function checkType({ type, offset }: Placed): void {
  const known = CAPS[baseType(type)] !== undefined;
  const reserved = [RECORD_INDEX, RECORD_SUMMARY, RECORD_END].includes(baseType(type));
  if (reserved || (isOptional(type) && known && baseType(type) !== RECORD_EXTENSION)) {
    throw damaged(`The ${typeName(type)} record at byte ${offset} is out of place.`, { details: { offset } });
  }
  if (!known && !isOptional(type)) throw unsupported(`a record of type ${typeName(type)}`, { offset, type });
}

async function readIndex(source: RangedSource, tail: Tail, signal?: AbortSignal): Promise<Uint8Array> {
  const { indexOffset, indexLength, indexHash } = tail.end;
  const size = recordSize(indexLength);
  const at = indexOffset - tail.from;
  const record =
    at >= 0 ? tail.bytes.subarray(at, at + size) : await readExactly(source, indexOffset, size, signal);
  const expected = { ...decodeRecordHeader(record), type: RECORD_INDEX, length: indexLength };
  const payload = openWholeRecord(record, expected, indexOffset);
  if (!equalBytes(strongHash(payload), indexHash)) throw damaged('The index does not match its hash.');
  return payload;
}

async function readHeader(
  source: RangedSource,
  head: Uint8Array,
  entries: readonly IndexEntry[],
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const [entry] = entries;
  if (entry?.type !== RECORD_HEADER) throw damaged('The checkpoint does not begin with its header.');
  if (entries.filter(({ type }) => type === RECORD_HEADER).length > 1) throw damaged('It has two headers.');
  const end = PREFIX_SIZE + recordSize(entry.length);
  const bytes = head.length >= end ? head : await readExactly(source, 0, end, signal);
  const payload = openWholeRecord(bytes.subarray(PREFIX_SIZE, end), entry, PREFIX_SIZE);
  if (!equalBytes(strongHash(payload), entry.hash)) throw damaged('The header does not match its hash.');
  return payload;
}

/** Holds the summary against header and index: who lists checkpoints must see what who opens them sees. */
export function checkTotals(
  header: CheckpointHeader,
  stored: StoredSummary,
  entries: readonly IndexEntry[],
): void {
  const batches = entries.filter(({ type }) => type === RECORD_BATCH);
  const last = batches.at(-1);
  if (last && last.lastGfn >= totalPages(header.machine.regions)) {
    throw damaged(`A batch holds page ${last.lastGfn}, which the machine has not.`);
  }
  checkDiskTotals(header, stored, entries);
  const states = entries.filter(({ type }) => type === RECORD_DEVICE_STATE).length;
  if (states > 1) throw damaged('The checkpoint has more than one device state.');
  const essentials = headerEssentials(header);
  const repeated = Object.fromEntries(
    Object.keys(essentials).map((name) => [name, stored[name as keyof StoredSummary]]),
  );
  const pages = batches.reduce((sum, batch) => sum + batch.pages, 0);
  const agrees =
    canonicalJson(repeated) === canonicalJson(essentials) &&
    (stored.supersedes === undefined) === (header.supersedes === undefined) &&
    (stored.state === undefined) === (header.state === undefined) &&
    stored.batches === batches.length &&
    stored.pages === pages &&
    stored.pages === stored.wordPages + stored.wholePages + stored.zeroPages;
  if (!agrees) throw damaged('The summary does not agree with header and index.');
  if (stored.state !== undefined && stored.deviceStateDelta) {
    throw damaged('The device state of a derived checkpoint must stand alone.');
  }
}
