import { decodeBlocks } from './blocks-record.js';
import { spansOf, type SpanPlace } from './disk-table.js';
import type { DeviceState, PageBatch } from '@fitdoc/interface';
import { ByteFeed } from './byte-feed.js';
import { equalBytes, toHex } from './bytes.js';
import { codecOr } from './default-codec.js';
import { checkDeviceState, decodeDeviceState, decodeDeviceStateInfo } from './device-decode.js';
import { decodeEnd } from './end-record.js';
import { decodeExtension } from './extension-record.js';
import { beyondLimit, damaged, unsupported } from './failures.js';
import { decodeHeader } from './header-record.js';
import { decodeIndex, type IndexEntry } from './index-record.js';
import * as layout from './layout.js';
import { LIMITS } from './limits.js';
import { checkLength, checkTotals, checkType } from './open.js';
import { decodePrefix, encodePrefix } from './prefix.js';
import { decodeRecordHeader, openRecord, type RecordHeader } from './record.js';
import { contentHashOf, strongHash } from './seal.js';
import { completeSummary, decodeSummary } from './summary-record.js';
import type { OpenOptions } from './reader.js';
import type { CheckpointHeader, CheckpointSummary, Extension, StoredDisk } from './types.js';

/** What a stream holds, in its order: `header` first, `end` last. */
export type StreamItem =
  | { readonly type: 'header'; readonly header: CheckpointHeader }
  | {
      readonly type: 'batch';
      /** As the codec encoded it; a worker may decode it. */
      readonly encoded: Uint8Array;
      /** Decodes it here. The index is then held against its pages too, at the end. */
      readonly decode: () => Promise<PageBatch>;
    }
  | {
      readonly type: 'blocks';
      readonly disk: StoredDisk;
      /** Number of the block that page 0 of the batch stands for. */
      readonly firstBlock: number;
      readonly encoded: Uint8Array;
      readonly decode: () => Promise<PageBatch>;
    }
  | {
      readonly type: 'deviceState';
      /** Whether `decode` needs the parent's device state. */
      readonly delta: boolean;
      readonly decode: (previous?: readonly DeviceState[]) => Promise<DeviceState[]>;
    }
  | { readonly type: 'extension'; readonly extension: Required<Extension> }
  | { readonly type: 'end'; readonly summary: CheckpointSummary };

interface Seen extends RecordHeader {
  readonly offset: number;
  readonly hash: Uint8Array;
  /** The pages of a batch that was decoded. */
  held?: {
    readonly firstGfn: number | undefined;
    readonly lastGfn: number | undefined;
    readonly pages: number;
  };
  /** The space of a batch of disk blocks. */
  space?: number;
}

/**
 * Reads a checkpoint from its first byte to its last, keeping one record at a time. Each record's checksum is
 * verified before its item is given; index, summary and content hash are verified before `end` is, so whoever
 * acts on the items before that acts on data that may be cut off, not on data that is wrong by accident.
 * Errors: as `openCheckpoint`, and whatever `chunks` throws.
 */
export async function* readCheckpointStream(
  chunks: AsyncIterable<Uint8Array>,
  options: Pick<OpenOptions, 'codec' | 'extensions' | 'signal'> = {},
): AsyncGenerator<StreamItem, void> {
  const feed = new ByteFeed(chunks, options.signal);
  try {
    yield* new StreamReader(feed, options).items();
  } finally {
    await feed.close();
  }
}

class StreamReader {
  readonly #seen: Seen[] = [];
  #header: CheckpointHeader | undefined;
  #spans: readonly SpanPlace[] = [];
  #device: ReturnType<typeof decodeDeviceStateInfo> | undefined;

  constructor(
    private readonly feed: ByteFeed,
    private readonly options: Pick<OpenOptions, 'codec' | 'extensions'>,
  ) {}

  async *items(): AsyncGenerator<StreamItem, void> {
    const version = decodePrefix(await this.feed.takeUpTo(layout.PREFIX_SIZE));
    for (;;) {
      const offset = this.feed.offset;
      const head = await this.feed.take(layout.RECORD_HEADER_SIZE);
      const record = decodeRecordHeader(head);
      if (record.type === layout.RECORD_INDEX) {
        yield { type: 'end', summary: await this.#finish(version, offset, head) };
        return;
      }
      checkLength({ ...record, offset });
      const payload = await this.#payload(head, offset, record);
      checkType({ ...record, offset });
      if (this.#seen.length === LIMITS.records) {
        throw beyondLimit('The number of records', LIMITS.records + 1, LIMITS.records);
      }
      this.#seen.push({ ...record, offset, hash: strongHash(payload) });
      const item = await this.#item(record.type, payload, version);
      if (item) yield item;
    }
  }

  async #payload(head: Uint8Array, offset: number, expected: RecordHeader): Promise<Uint8Array> {
    const body = await this.feed.take(layout.align8(expected.length));
    return openRecord(head, body, expected, offset);
  }

  async #item(type: number, payload: Uint8Array, version: number): Promise<StreamItem | undefined> {
    if ((type === layout.RECORD_HEADER) !== (this.#header === undefined)) {
      throw damaged('The checkpoint does not begin with its one header.');
    }
    switch (layout.baseType(type)) {
      case layout.RECORD_HEADER:
        this.#header = decodeHeader(payload, version);
        this.#spans = spansOf(this.#header.disks ?? []);
        return { type: 'header', header: this.#header };
      case layout.RECORD_BATCH:
        return this.#batch(payload);
      case layout.RECORD_DISK:
        return this.#blocks(payload);
      case layout.RECORD_DEVICE_STATE: {
        const info = (this.#device = decodeDeviceStateInfo(payload));
        const decode = async (previous?: readonly DeviceState[]) =>
          decodeDeviceState(payload, previous, await codecOr(this.options.codec));
        return { type: 'deviceState', delta: info.delta, decode };
      }
      case layout.RECORD_EXTENSION: {
        const extension = decodeExtension(payload, !layout.isOptional(type));
        if (extension.mandatory && this.options.extensions?.includes(extension.name) !== true) {
          throw unsupported(`the extension ${extension.name}`, { extension: extension.name });
        }
        return { type: 'extension', extension };
      }
      default:
        return undefined;
    }
  }

  #blocks(payload: Uint8Array): StreamItem {
    const { space, encoded } = decodeBlocks(payload);
    const place = this.#spans[space - 1];
    const disk = this.#header?.disks?.[place?.disk ?? 0];
    if (!place || !disk) throw damaged('Blocks of a disk that the checkpoint has not.');
    const seen = this.#seen.at(-1);
    if (seen) seen.space = space;
    const { decode } = this.#batch(encoded);
    return { type: 'blocks', disk, firstBlock: place.firstBlock, encoded, decode };
  }

  #batch(encoded: Uint8Array): Extract<StreamItem, { type: 'batch' }> {
    const seen = this.#seen.at(-1);
    const decode = async () => {
      const batch = (await codecOr(this.options.codec)).decode(encoded);
      const { gfns } = batch;
      if (seen) seen.held = { firstGfn: gfns[0], lastGfn: gfns.at(-1), pages: gfns.length };
      return batch;
    };
    return { type: 'batch', encoded, decode };
  }

  /** Verifies what stands behind the last record of the contents, to the stream's last byte. */
  async #finish(version: number, indexOffset: number, indexHead: Uint8Array): Promise<CheckpointSummary> {
    const length = this.#seen.length * layout.INDEX_ENTRY_SIZE;
    const index = await this.#payload(indexHead, indexOffset, { ...decodeRecordHeader(indexHead), length });
    const entries = decodeIndex(index, indexOffset);
    this.#checkIndex(entries);
    const summaryOffset = this.feed.offset;
    const summaryHead = await this.feed.take(layout.RECORD_HEADER_SIZE);
    const { type, length: summaryLength, checksum } = decodeRecordHeader(summaryHead);
    if (type !== layout.RECORD_SUMMARY) throw damaged('No summary follows the index.');
    if (summaryLength > LIMITS.summary) throw beyondLimit('The summary', summaryLength, LIMITS.summary);
    const expected = { type, length: summaryLength, checksum };
    const summary = await this.#payload(summaryHead, summaryOffset, expected);
    const tail = await this.feed.take(layout.END_SIZE);
    if ((await this.feed.takeUpTo(1)).length > 0) throw damaged('Bytes follow the END record.');
    const end = decodeEnd(tail, this.feed.offset);
    const indexHash = strongHash(index);
    const contentHash = contentHashOf(encodePrefix(version), indexHash, strongHash(summary));
    const agrees = equalBytes(end.indexHash, indexHash) && equalBytes(end.contentHash, contentHash);
    if (!agrees || end.indexOffset !== indexOffset || end.formatVersion !== version) {
      throw damaged('The END record is not that of what stands before it.');
    }
    const object = { contentHash: toHex(contentHash), bytes: this.feed.offset, formatVersion: version };
    return this.#complete(entries, completeSummary(decodeSummary(summary), object));
  }

  #complete(entries: readonly IndexEntry[], summary: CheckpointSummary): CheckpointSummary {
    const header = this.#header;
    if (!header) throw damaged('The checkpoint has no header.');
    checkTotals(header, summary, entries);
    if (this.#device) checkDeviceState(this.#device, { header, summary });
    return summary;
  }

  #checkIndex(entries: readonly IndexEntry[]): void {
    for (const [number, entry] of entries.entries()) {
      const seen = this.#seen[number];
      const same =
        seen?.offset === entry.offset &&
        seen.type === entry.type &&
        seen.length === entry.length &&
        seen.checksum === entry.checksum &&
        (seen.space ?? 0) === entry.space &&
        equalBytes(seen.hash, entry.hash);
      const held = seen?.held ?? entry;
      const holds =
        held.firstGfn === entry.firstGfn && held.lastGfn === entry.lastGfn && held.pages === entry.pages;
      if (!same || !holds) throw damaged(`Entry ${number} of the index does not fit its record.`);
    }
  }
}
