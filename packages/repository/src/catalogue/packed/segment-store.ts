import { deleteAll, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { mapBounded } from '../../bounded.js';
import type { SegmentCache } from './segment-cache.js';
import {
  cataloguePrefix,
  directoryOf,
  lateKey,
  parseLateKey,
  parseSegmentKey,
  segmentKey,
  type FoundSegment,
  type LateNote,
  type SegmentName,
  type Series,
} from './segment-key.js';
import { decodeSegment, digestOf, encodeSegment, type Segment } from './segment.js';

const PARALLEL = 16;

/** A segment that was found and could be read. */
export interface ReadSegment extends FoundSegment, Segment {}

/** What lies under a machine's (or every machine's) part of the catalogue. */
export interface Found {
  readonly segments: readonly FoundSegment[];
  readonly late: readonly LateNote[];
}

/** Finds, reads, puts and deletes the catalogue's objects. What was read once is kept while it is there. */
export class SegmentStore {
  readonly #read = new Map<string, ReadSegment>();
  readonly #damaged = new Set<string>();

  constructor(
    private readonly store: Store,
    private readonly cache: SegmentCache | undefined,
  ) {}

  /**
   * Notes come before segments in one listing: a note that is not listed any more left its object's entry in a
   * segment that is listed after it.
   */
  async find(machineId: string | undefined, call: CallOptions): Promise<Found> {
    const segments: FoundSegment[] = [];
    const late: LateNote[] = [];
    const prefix = cataloguePrefix(machineId);
    for await (const { key, size, modifiedMs } of this.store.list(prefix, call)) {
      const segment = parseSegmentKey(key);
      if (segment) segments.push({ ...segment, key, size });
      const note = parseLateKey(key);
      if (note) late.push({ ...note, key, modifiedMs });
    }
    const there = new Set(segments.map(({ key }) => key));
    for (const key of this.#read.keys())
      if (key.startsWith(prefix) && !there.has(key)) this.#read.delete(key);
    return { segments, late };
  }

  /** The segments that are there and whole, and the others: the stretches of those are to be listed. */
  async read(
    found: readonly FoundSegment[],
    call: CallOptions,
  ): Promise<{ read: ReadSegment[]; unread: FoundSegment[] }> {
    const segments = await mapBounded(found, PARALLEL, (segment) => this.#readOne(segment, call));
    return {
      read: segments.filter((segment) => segment !== undefined),
      unread: found.filter((_, index) => segments[index] === undefined),
    };
  }

  async put(
    series: Series,
    stretch: Omit<SegmentName, 'series' | 'digest'>,
    segment: Segment,
  ): Promise<string> {
    const { bytes, digest } = await encodeSegment(segment);
    const key = segmentKey({ series, ...stretch, digest });
    try {
      await this.store.put(key, bytes);
    } catch (error) {
      if (!isFitdocError(error, 'STORE_EXISTS')) throw error;
      // The same entries have the same bytes, whoever puts them; unless something happened to those.
      if (this.#damaged.delete(key)) await this.store.put(key, bytes, { mode: 'replace' });
    }
    this.#read.set(key, { ...segment, series, ...stretch, digest, key, size: bytes.length });
    return key;
  }

  async putNote(series: Series, name: string, call: CallOptions): Promise<void> {
    const bytes = new TextEncoder().encode('{}\n');
    await this.store.put(lateKey(series, name), bytes, { ...call, mode: 'replace' });
  }

  /** Derived objects that cannot be deleted now are deleted another time. */
  async remove(keys: readonly string[], call: CallOptions): Promise<void> {
    if (keys.length === 0) return;
    await deleteAll(this.store, keys, call);
    for (const key of keys) {
      this.#read.delete(key);
      this.#damaged.delete(key);
    }
  }

  /** Deletes those that hold something else than was stored; a later program's are left alone. */
  removeDamaged(found: readonly FoundSegment[], call: CallOptions): Promise<void> {
    return this.remove(
      found.map(({ key }) => key).filter((key) => this.#damaged.has(key)),
      call,
    );
  }

  async #readOne(found: FoundSegment, call: CallOptions): Promise<ReadSegment | undefined> {
    const known = this.#read.get(found.key);
    if (known) return known;
    try {
      const bytes = await this.#bytesOf(found, call);
      const segment = bytes && (await decodeSegment(bytes, directoryOf(found.series)));
      if (!segment) return undefined;
      const read = { ...found, ...segment };
      this.#read.set(found.key, read);
      return read;
    } catch (error) {
      if (!isFitdocError(error, 'STORE_NOT_FOUND') && !isFitdocError(error, 'FORMAT_DAMAGED')) throw error;
      return undefined;
    }
  }

  /** What was stored under the key, or undefined where something else is there. */
  async #bytesOf({ key, digest }: FoundSegment, call: CallOptions): Promise<Uint8Array | undefined> {
    const cached = await this.cache?.get(digest);
    if (cached && digestOf(cached) === digest) return cached;
    const bytes = await this.store.get(key, undefined, call);
    if (digestOf(bytes) !== digest) {
      this.#damaged.add(key);
      return undefined;
    }
    await this.cache?.put(digest, bytes);
    return bytes;
  }
}
