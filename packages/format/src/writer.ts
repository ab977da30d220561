import { FitdocError, MAX_BATCH_PAGES, throwIfAborted, totalPages } from '@fitdoc/interface';
import { encodeBlocks } from './blocks-record.js';
import { concat, fromHex, toHex } from './bytes.js';
import { codecOr } from './default-codec.js';
import { encodeDeviceState } from './device-encode.js';
import { spansOf, type SpanPlace } from './disk-table.js';
import { encodeEnd } from './end-record.js';
import { encodeExtension } from './extension-record.js';
import { beyondLimit, invalid } from './failures.js';
import { completeHeader, encodeHeader } from './header-record.js';
import {
  END_SIZE,
  OPTIONAL_BIT,
  RECORD_BATCH,
  RECORD_DEVICE_STATE,
  RECORD_DISK,
  RECORD_EXTENSION,
  RECORD_HEADER,
  RECORD_INDEX,
  RECORD_SUMMARY,
} from './layout.js';
import { LIMITS } from './limits.js';
import { encodePrefix } from './prefix.js';
import { RecordSink } from './record-sink.js';
import { contentHashOf, recordChecksum, sealRecord } from './seal.js';
import { completeSummary, decodeSummary, encodeSummary, type Totals } from './summary-record.js';
import type {
  BatchCodec,
  CheckpointHeader,
  CheckpointSummary,
  ContentItem,
  EncodedPages,
  Metrics,
  NewCheckpointHeader,
} from './types.js';

export interface WriteOptions {
  /** Encodes the device state. Default: a codec with its default options. */
  readonly codec?: BatchCodec;
  readonly signal?: AbortSignal;
}

export interface CheckpointOutput {
  /** The object's bytes in order. To be read once; nothing happens before it is. */
  readonly stream: AsyncIterable<Uint8Array>;
  /**
   * Resolves when the stream has given its last chunk. Rejects with what made the stream fail, or with ABORTED
   * when its reader stopped early. Need not be listened to.
   */
  readonly summary: Promise<CheckpointSummary>;
}

/**
 * Writes a checkpoint, pulled by whoever reads the stream: it asks `content` for an item when the bytes of the
 * one before are taken. It keeps 72 bytes a batch and nothing else. Chunks may be views of what the items
 * hold, so an item must stay unchanged until the next one is asked for.
 *
 * Throws ARGUMENT_INVALID for a bad header. The stream throws ARGUMENT_INVALID for content that breaks a rule
 * (batches out of order, overlapping, or beyond the machine's pages), FORMAT_LIMIT for content beyond a size
 * cap, ABORTED, and whatever `content` throws, as it is.
 */
export function writeCheckpoint(
  header: NewCheckpointHeader,
  content: AsyncIterable<ContentItem>,
  options: WriteOptions = {},
): CheckpointOutput {
  const writer = new CheckpointWriter(completeHeader(header), options);
  const headerPayload = encodeHeader(writer.header);
  let settle: { resolve: (summary: CheckpointSummary) => void; reject: (error: unknown) => void };
  const summary = new Promise<CheckpointSummary>((resolve, reject) => (settle = { resolve, reject }));
  summary.catch(() => undefined);

  async function* run(): AsyncGenerator<Uint8Array, void> {
    try {
      yield concat([
        encodePrefix(writer.header.formatVersion),
        ...writer.sink.record(RECORD_HEADER, headerPayload),
      ]);
      for await (const item of content) {
        throwIfAborted(options.signal);
        yield* await writer.item(item);
      }
      throwIfAborted(options.signal);
      const { chunks, summary: written } = writer.finish();
      settle.resolve(written);
      yield* chunks;
    } catch (error) {
      settle.reject(error);
      throw error;
    } finally {
      // No effect unless the reader stopped early: whatever settled first holds.
      settle.reject(new FitdocError('ABORTED', 'The checkpoint was not read to its end.'));
    }
  }
  return { stream: run(), summary };
}

class CheckpointWriter {
  readonly sink = new RecordSink();
  readonly #totals: Totals = {
    ...{ pages: 0, rawBytes: 0, changedWords: 0, wholePages: 0, zeroPages: 0, batches: 0 },
    ...{ deviceStateBytes: 0, deviceStateDelta: false },
  };
  readonly #memoryPages: number;
  readonly #spans: readonly SpanPlace[];
  #nextGfn = 0;
  #space = 1;
  #nextBlock = 0;
  #hasDeviceState = false;
  #metrics: Metrics = {};

  constructor(
    readonly header: CheckpointHeader,
    private readonly options: WriteOptions,
  ) {
    this.#memoryPages = totalPages(header.machine.regions);
    const { disks } = header;
    this.#spans = spansOf(disks ?? []);
    if (disks)
      Object.assign(this.#totals, { disks: disks.length, diskBatches: 0, diskBlocks: 0, diskBytes: 0 });
  }

  async item(item: ContentItem): Promise<Uint8Array[]> {
    switch (item.type) {
      case 'batch':
        return this.#batch(item);
      case 'blocks':
        return this.#blocks(item);
      case 'deviceState':
        return this.#deviceState(item);
      case 'metrics':
        this.#metrics = { ...this.#metrics, ...item.metrics };
        return [];
      case 'extension': {
        const type = item.mandatory === true ? RECORD_EXTENSION : (RECORD_EXTENSION | OPTIONAL_BIT) >>> 0;
        return this.sink.record(type, encodeExtension(item));
      }
    }
  }

  #batch({ encoded, gfns, seal }: Extract<ContentItem, { type: 'batch' }>): Uint8Array[] {
    const range = rangeOf(encoded, gfns, this.#nextGfn);
    const { firstGfn, lastGfn } = range;
    if (lastGfn >= this.#memoryPages) throw invalid(`The machine has no page ${lastGfn}.`);
    const { bytes } = encoded;
    if (seal && recordChecksum(RECORD_BATCH, bytes) !== seal.checksum)
      throw invalid('The seal is of other bytes.');
    const names = ['pages', 'rawBytes', 'changedWords', 'wholePages', 'zeroPages'] as const;
    for (const name of names) {
      if (!Number.isSafeInteger(encoded[name]) || encoded[name] < 0)
        throw invalid(`A batch's ${name} is no count.`);
      this.#totals[name] += encoded[name];
    }
    this.#totals.batches += 1;
    this.#nextGfn = lastGfn + 1;
    return this.sink.record(RECORD_BATCH, bytes, { firstGfn, lastGfn, pages: gfns.length, space: 0 }, seal);
  }

  #blocks({ disk, span, encoded, gfns }: Extract<ContentItem, { type: 'blocks' }>): Uint8Array[] {
    const place = this.#spans.findIndex((each) => each.disk === disk) + span;
    const found = this.#spans[place];
    if (found?.disk !== disk) throw invalid(`The checkpoint has no span ${span} of a disk ${disk}.`);
    const space = place + 1;
    if (space > this.#space) [this.#space, this.#nextBlock] = [space, 0];
    if (space < this.#space) throw invalid(`Blocks of disk ${disk} come too late.`);
    const range = rangeOf(encoded, gfns, this.#nextBlock);
    if (range.lastGfn >= found.blocks) throw invalid(`Disk ${disk} has no block ${range.lastGfn}.`);
    this.#nextBlock = range.lastGfn + 1;
    const payload = encodeBlocks(space, encoded.bytes);
    const totals = this.#totals as Required<Totals>;
    totals.diskBatches += 1;
    totals.diskBlocks += gfns.length;
    totals.diskBytes += payload.length;
    return this.sink.record(RECORD_DISK, payload, { ...range, pages: gfns.length, space });
  }

  async #deviceState(item: Extract<ContentItem, { type: 'deviceState' }>): Promise<Uint8Array[]> {
    if (this.#hasDeviceState) throw invalid('A checkpoint has one device state.');
    this.#hasDeviceState = true;
    const contentHash = this.header.parent && fromHex(this.header.parent.contentHash);
    if (item.previous && !contentHash) throw invalid('A base has no previous device state.');
    // What a derived checkpoint's parent was when it was merged may be gone when it is read.
    const previous = this.header.state === undefined ? item.previous : undefined;
    const parent = previous && contentHash && { contentHash, state: previous };
    const encoded = encodeDeviceState(item.state, parent, await codecOr(this.options.codec));
    this.#totals.deviceStateBytes = encoded.rawBytes;
    this.#totals.deviceStateDelta = encoded.delta;
    return this.sink.record(RECORD_DEVICE_STATE, encoded.payload);
  }

  /** INDX, SUMM and END, and the summary of it all. */
  finish(): { chunks: Uint8Array[]; summary: CheckpointSummary } {
    const { sink } = this;
    const { formatVersion } = this.header;
    const [index, indexOffset] = [sink.index.payload(), sink.offset];
    const indexSeal = sealRecord(RECORD_INDEX, index);
    const chunks = sink.chunks(RECORD_INDEX, index, indexSeal.checksum);
    const [summary, summaryOffset] = [encodeSummary(this.header, this.#totals, this.#metrics), sink.offset];
    const summarySeal = sealRecord(RECORD_SUMMARY, summary);
    chunks.push(...sink.chunks(RECORD_SUMMARY, summary, summarySeal.checksum));
    const contentHash = contentHashOf(encodePrefix(formatVersion), indexSeal.hash, summarySeal.hash);
    const lengths = { indexLength: index.length, summaryLength: summary.length };
    const end = {
      formatVersion,
      indexOffset,
      summaryOffset,
      ...lengths,
      indexHash: indexSeal.hash,
      contentHash,
    };
    const size = sink.offset + END_SIZE;
    chunks.push(encodeEnd({ ...end, size, records: sink.index.count }));
    const object = { contentHash: toHex(contentHash), bytes: size, formatVersion };
    return { chunks, summary: completeSummary(decodeSummary(summary), object) };
  }
}

/** What a batch's pages reach from and to, which must be `next` or more. ARGUMENT_INVALID, FORMAT_LIMIT. */
function rangeOf(
  encoded: EncodedPages,
  gfns: Uint32Array,
  next: number,
): { readonly firstGfn: number; readonly lastGfn: number } {
  const [firstGfn, lastGfn] = [gfns[0], gfns.at(-1)];
  if (firstGfn === undefined || lastGfn === undefined) throw invalid('A batch holds no page.');
  if (gfns.length > MAX_BATCH_PAGES) throw invalid(`A batch holds more than ${MAX_BATCH_PAGES} pages.`);
  if (encoded.pages !== gfns.length) throw invalid('A batch has another number of pages than of gfns.');
  if (firstGfn < next) throw invalid(`The batch from page ${firstGfn} comes too late, or overlaps.`);
  if (lastGfn - firstGfn < gfns.length - 1)
    throw invalid(`The pages from ${firstGfn} are not in ascending order.`);
  const { length } = encoded.bytes;
  if (length > LIMITS.batch) throw beyondLimit('An encoded batch', length, LIMITS.batch);
  return { firstGfn, lastGfn };
}
