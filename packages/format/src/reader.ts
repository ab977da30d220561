import { throwIfAborted, type DeviceState, type PageBatch } from '@fitdoc/interface';
import { decodeBatch } from './batch-check.js';
import { blocksOf } from './blocks-record.js';
import { equalBytes } from './bytes.js';
import { spansOf } from './disk-table.js';
import { codecOr } from './default-codec.js';
import { checkDeviceState, decodeDeviceState, decodeDeviceStateInfo } from './device-decode.js';
import { decodeExtension } from './extension-record.js';
import { damaged, invalid, unsupported } from './failures.js';
import type { IndexEntry } from './index-record.js';
import {
  baseType,
  isOptional,
  RECORD_BATCH,
  RECORD_DEVICE_STATE,
  RECORD_DISK,
  RECORD_EXTENSION,
  recordSize,
  typeName,
} from './layout.js';
import { openStructure, type Structure } from './open.js';
import { bytesSource, readExactly, type RangedSource } from './ranged-source.js';
import { openWholeRecord } from './record.js';
import { strongHash } from './seal.js';
import type { TailOptions } from './tail.js';
import type {
  BatchCodec,
  BatchEntry,
  CheckpointHeader,
  CheckpointSummary,
  DiskReader,
  DiskSpan,
  Extension,
} from './types.js';
import { verifyRecords, type VerifyOptions, type VerifyReport } from './verify.js';

export interface OpenOptions extends TailOptions {
  /** Decodes batches and device state. Default: a codec with its default options. */
  readonly codec?: BatchCodec;
  /**
   * How much is verified of a record that is read: its checksum (accidents; the default), or its strong hash
   * too (whoever can write the store, given that the id is trusted). Header, index and summary always both.
   */
  readonly integrity?: 'checksum' | 'hash';
  /** Names of the mandatory extensions that the caller understands. */
  readonly extensions?: readonly string[];
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * Opens a checkpoint: reads and verifies header, index and summary, by two or three ranged reads (one where
 * the object is small). Errors: FORMAT_FOREIGN, FORMAT_VERSION, FORMAT_UNSUPPORTED (a mandatory record or
 * extension is not known), FORMAT_TRUNCATED, FORMAT_DAMAGED, FORMAT_LIMIT, ABORTED and the source's.
 */
export async function openCheckpoint(
  source: RangedSource,
  options: OpenOptions = {},
): Promise<CheckpointReader> {
  const structure = await openStructure(source, options);
  const { whole } = structure;
  const reader = new CheckpointReader(whole ? bytesSource(whole) : source, structure, options);
  await reader.refuseUnknownExtensions(options.extensions ?? [], options);
  return reader;
}

/** An opened checkpoint. It keeps no state between calls: they may run at once. Made by `openCheckpoint`. */
export class CheckpointReader {
  readonly header: CheckpointHeader;
  readonly summary: CheckpointSummary;
  /** In ascending gfn order, disjoint. */
  readonly batches: readonly BatchEntry[];
  /** The disks that it holds, each with its batches; none in a checkpoint of memory alone. */
  readonly disks: readonly DiskReader[];
  readonly #batchEntries: readonly IndexEntry[];

  /** @internal */
  constructor(
    private readonly source: RangedSource,
    private readonly structure: Structure,
    private readonly options: OpenOptions,
  ) {
    this.header = structure.header;
    this.summary = structure.summary;
    this.#batchEntries = structure.entries.filter(({ type }) => type === RECORD_BATCH);
    this.batches = this.#batchEntries.map(batchEntry);
    this.disks = this.#diskReaders();
  }

  #diskReaders(): DiskReader[] {
    const disks = this.header.disks ?? [];
    if (disks.length === 0) return [];
    const places = spansOf(disks);
    const bySpace = places.map((): IndexEntry[] => []);
    for (const entry of this.structure.entries)
      if (entry.type === RECORD_DISK) bySpace[entry.space - 1]?.push(entry);
    const spans = places.map(({ disk, firstBlock, blocks }, index) => ({
      disk,
      span: this.#span(bySpace[index] ?? [], firstBlock, blocks),
    }));
    return disks.map((disk, number) => ({
      ...disk,
      spans: spans.filter((each) => each.disk === number).map(({ span }) => span),
    }));
  }

  #span(entries: readonly IndexEntry[], firstBlock: number, blocks: number): DiskSpan {
    const batches = entries.map(batchEntry);
    const readEncodedBatch = async (number: number, options: ReadOptions = {}): Promise<Uint8Array> => {
      const entry = entries[number];
      if (!entry) throw invalid(`The disk has ${entries.length} batches here, so none of number ${number}.`);
      return blocksOf(await this.#read(entry, options), entry);
    };
    return { firstBlock, blocks, batches, readEncodedBatch };
  }

  /**
   * The bytes of batch `number`, verified but not decoded (workers do that). The result may be a view of what
   * the source gave. Errors: ARGUMENT_INVALID, FORMAT_DAMAGED, FORMAT_TRUNCATED, ABORTED and the source's.
   */
  async readEncodedBatch(number: number, options: ReadOptions = {}): Promise<Uint8Array> {
    return this.#read(this.#entry(number), options);
  }

  /** Batch `number`, decoded, its pages those that the index names. Errors besides: CODEC_DAMAGED, CODEC_UNKNOWN. */
  async readBatch(number: number, options: ReadOptions = {}): Promise<PageBatch> {
    const entry = this.#entry(number);
    const codec = await codecOr(this.options.codec);
    return decodeBatch(await this.#read(entry, options), entry, codec);
  }

  /** The number of the only batch that can hold page `gfn`, or undefined when none does. */
  find(gfn: number): number | undefined {
    let [low, high] = [0, this.batches.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const batch = this.#entry(middle);
      if (gfn < batch.firstGfn) high = middle - 1;
      else if (gfn > batch.lastGfn) low = middle + 1;
      else return middle;
    }
    return undefined;
  }

  /**
   * The device state; empty when the checkpoint has none. One that is stored as a change to the parent's
   * (`summary.deviceStateDelta`) asks `loadPrevious` for that, and rejects with ARGUMENT_INVALID without it.
   */
  async readDeviceState(
    loadPrevious?: () => Promise<readonly DeviceState[]>,
    options: ReadOptions = {},
  ): Promise<DeviceState[]> {
    const entry = this.structure.entries.find(({ type }) => type === RECORD_DEVICE_STATE);
    if (!entry) return [];
    const payload = await this.#read(entry, options);
    checkDeviceState(decodeDeviceStateInfo(payload), this.structure);
    const previous = this.summary.deviceStateDelta ? await loadPrevious?.() : undefined;
    throwIfAborted(options.signal);
    return decodeDeviceState(payload, previous, await codecOr(this.options.codec));
  }

  /** All extensions, in the order in which they were written. */
  async readExtensions(options: ReadOptions = {}): Promise<Required<Extension>[]> {
    const found: Required<Extension>[] = [];
    for (const entry of this.structure.entries) {
      if (baseType(entry.type) !== RECORD_EXTENSION) continue;
      found.push(decodeExtension(await this.#read(entry, options), !isOptional(entry.type)));
    }
    return found;
  }

  /** Reads every record and reports all that is wrong; see VerifyOptions. Rejects with ABORTED or the source's error. */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    return verifyRecords(this.source, this.structure, await codecOr(this.options.codec), options);
  }

  /** @internal */
  async refuseUnknownExtensions(known: readonly string[], options: ReadOptions): Promise<void> {
    for (const entry of this.structure.entries) {
      if (entry.type !== RECORD_EXTENSION) continue;
      const { name } = decodeExtension(await this.#read(entry, options), true);
      if (!known.includes(name)) throw unsupported(`the extension ${name}`, { extension: name });
    }
  }

  #entry(number: number): IndexEntry {
    const entry = this.#batchEntries[number];
    if (!entry)
      throw invalid(`The checkpoint has ${this.#batchEntries.length} batches, so none of number ${number}.`);
    return entry;
  }

  async #read(entry: IndexEntry, { signal }: ReadOptions): Promise<Uint8Array> {
    const record = await readExactly(this.source, entry.offset, recordSize(entry.length), signal);
    const payload = openWholeRecord(record, entry, entry.offset);
    if (this.options.integrity === 'hash' && !equalBytes(strongHash(payload), entry.hash)) {
      throw damaged(`The ${typeName(entry.type)} record at byte ${entry.offset} does not match its hash.`);
    }
    return payload;
  }
}

function batchEntry({ firstGfn, lastGfn, pages, offset, length }: IndexEntry): BatchEntry {
  return { firstGfn, lastGfn, pages, offset, length };
}
