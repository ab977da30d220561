import { MAX_BATCH_PAGES } from '@fitdoc/interface';
import { dataView } from './bytes.js';
import { beyondLimit, damaged } from './failures.js';
import {
  HASH_SIZE,
  INDEX_ENTRY_SIZE,
  isOptional,
  PREFIX_SIZE,
  RECORD_BATCH,
  RECORD_DISK,
  recordSize,
} from './layout.js';
import { LIMITS } from './limits.js';
import type { RecordHeader } from './record.js';

/** What the index says of a record. Those about pages are 0 unless the record is a batch, of memory or of a disk. */
export interface IndexEntry extends RecordHeader {
  readonly offset: number;
  readonly hash: Uint8Array;
  readonly firstGfn: number;
  readonly lastGfn: number;
  readonly pages: number;
  /** Which numbering the pages are of: 0 the memory's, else that of a disk's span. */
  readonly space: number;
}

/** Collects index entries as they will be written: 72 bytes a record and nothing else. */
export class IndexBuilder {
  #bytes = new Uint8Array(64 * INDEX_ENTRY_SIZE);
  #length = 0;

  get count(): number {
    return this.#length / INDEX_ENTRY_SIZE;
  }

  add(entry: IndexEntry): void {
    if (this.count === LIMITS.records)
      throw beyondLimit('The number of records', this.count + 1, LIMITS.records);
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    writeEntry(this.#bytes.subarray(this.#length, this.#length + INDEX_ENTRY_SIZE), entry);
    this.#length += INDEX_ENTRY_SIZE;
  }

  /** The INDX record's payload. */
  payload(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

function writeEntry(target: Uint8Array, entry: IndexEntry): void {
  const view = dataView(target);
  view.setUint32(0, entry.type, true);
  view.setUint32(4, entry.length, true);
  view.setBigUint64(8, entry.checksum, true);
  view.setBigUint64(16, BigInt(entry.offset), true);
  view.setUint32(24, entry.firstGfn, true);
  view.setUint32(28, entry.lastGfn, true);
  view.setUint32(32, entry.pages, true);
  view.setUint32(36, entry.space, true);
  target.set(entry.hash, 40);
}

/**
 * Reads an INDX record's payload: the records tile the object from its prefix up to `indexOffset`, and batches
 * are in ascending, disjoint order, those of disks space after space. FORMAT_DAMAGED otherwise.
 */
export function decodeIndex(payload: Uint8Array, indexOffset: number): IndexEntry[] {
  if (payload.length % INDEX_ENTRY_SIZE !== 0) throw damaged('The index has an odd length.');
  const view = dataView(payload);
  const entries: IndexEntry[] = [];
  let offset = PREFIX_SIZE;
  const order = new BatchOrder();
  for (let at = 0; at < payload.length; at += INDEX_ENTRY_SIZE) {
    const entry = readEntry(payload, view, at);
    if (entry.offset !== offset || !order.admits(entry)) throw badEntry(entries.length);
    offset += recordSize(entry.length);
    entries.push(entry);
  }
  if (offset !== indexOffset) throw damaged('The index does not account for all of the object.');
  return entries;
}

function readEntry(payload: Uint8Array, view: DataView, at: number): IndexEntry {
  return {
    type: view.getUint32(at, true),
    length: view.getUint32(at + 4, true),
    checksum: view.getBigUint64(at + 8, true),
    offset: Number(view.getBigUint64(at + 16, true)),
    firstGfn: view.getUint32(at + 24, true),
    lastGfn: view.getUint32(at + 28, true),
    pages: view.getUint32(at + 32, true),
    space: view.getUint32(at + 36, true),
    hash: payload.subarray(at + 40, at + 40 + HASH_SIZE),
  };
}

/** Holds batches against their order: the memory's among themselves, and those of disks among themselves. */
class BatchOrder {
  #nextGfn = 0;
  #space = 1;
  #nextBlock = 0;

  admits(entry: IndexEntry): boolean {
    const { type, space, lastGfn } = entry;
    if (type === RECORD_BATCH) {
      if (space !== 0 || !isBatchRange(entry, this.#nextGfn)) return false;
      this.#nextGfn = lastGfn + 1;
      return true;
    }
    if (type !== RECORD_DISK) return entry.firstGfn + lastGfn + entry.pages + space === 0;
    if (space > this.#space) [this.#space, this.#nextBlock] = [space, 0];
    if (space !== this.#space || !isBatchRange(entry, this.#nextBlock)) return false;
    this.#nextBlock = lastGfn + 1;
    return true;
  }
}

function isBatchRange(entry: IndexEntry, nextGfn: number): boolean {
  const { firstGfn, lastGfn, pages } = entry;
  if (isOptional(entry.type) || pages < 1 || pages > MAX_BATCH_PAGES) return false;
  return firstGfn >= nextGfn && lastGfn >= firstGfn && pages <= lastGfn - firstGfn + 1;
}

function badEntry(number: number): Error {
  return damaged(`Entry ${number} of the index is damaged.`, { details: { entry: number } });
}
