import {
  listAfter,
  type CallOptions,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
} from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';
import { nameOfKey } from '../../src/catalogue/packed/entry-columns.js';
import { Packer } from '../../src/catalogue/packed/packer.js';
import { SegmentStore } from '../../src/catalogue/packed/segment-store.js';
import { DEFAULT_SETTINGS } from '../../src/catalogue/packed/settings.js';
import { Repository, type CheckpointEntry } from '../../src/index.js';
import { checkpointKey } from '../../src/layout.js';

/** Objects that a server lists in one answer. */
const PAGE = 1_000;

/** Requests, as a server in the way of S3 counts them. */
export interface Requests {
  list: number;
  get: number;
  stat: number;
  put: number;
  delete: number;
}

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

/** What the summary of the nth of a machine's checkpoints would say: one a second, each on the one before. */
export function syntheticEntry(nth: number, machineId = 'm'): CheckpointEntry {
  const contentHash = hashOf(nth);
  const createdAtMs = 1_750_000_000_000 + nth * 1_000 + ((nth * 7_919) % 23);
  const parent = nth === 0 ? undefined : hashOf(nth - 1);
  return {
    id: contentHash.slice(0, 32),
    contentHash,
    objectHash: contentHash,
    formatVersion: 1,
    bytes: 190_000 + ((nth * 104_729) % 20_000),
    machineId,
    machineName: `name of ${machineId}`,
    hypervisor: 'mock',
    scheme: 'mock',
    memoryPages: 65_536,
    sequence: nth,
    kind: parent === undefined ? 'base' : 'increment',
    ...(parent === undefined ? {} : { parentContentHash: parent, parentId: parent.slice(0, 32) }),
    createdAtMs,
    capturedAtMs: createdAtMs - 150,
    pages: 700 + (nth % 90),
    rawBytes: (700 + (nth % 90)) * 4_096,
    changedWords: 48_000 + (nth % 977),
    wordPages: 650,
    wholePages: 40,
    zeroPages: 10,
    deviceStateBytes: 100_000,
    deviceStateDelta: true,
    batches: 1,
    metrics: { pauseMs: 8 + (nth % 700) / 1_000, captureMs: 12.345, dirtyPages: 800, captureKind: 'pages' },
    key: checkpointKey({ machineId, sequence: nth, createdAtMs }, hex((nth * 2_654_435_761) % 2 ** 48, 12)),
  };
}

function hashOf(nth: number): string {
  let text = '';
  for (let part = 0; part < 8; part++) text += hex(((nth + 1) * 2_246_822_519 * (part + 3)) % 2 ** 32, 8);
  return text;
}

/**
 * A store with so many checkpoints of one machine, of which the keys are there and the objects made up: whoever
 * reads one finds it missing. All else is kept in memory. Counts requests.
 */
export class SyntheticStore implements Store {
  readonly specificationVersion = 'store-v1';
  readonly supports = { conditionalPut: true, durable: false };
  readonly location = 'synthetic:';
  readonly memory: MemoryStore;
  readonly requests: Requests = { list: 0, get: 0, stat: 0, put: 0, delete: 0 };
  readonly #keys: string[] = [];
  readonly #stats = new Map<string, ObjectStat>();

  constructor(entries: readonly CheckpointEntry[] = [], nowMs = 1_750_000_000_000) {
    this.memory = new MemoryStore({ now: () => nowMs });
    for (const { key, bytes, createdAtMs } of entries) {
      this.#keys.push(key);
      this.#stats.set(key, { key, size: bytes, modifiedMs: createdAtMs });
    }
    this.#keys.sort();
  }

  /** Requests that `work` makes, in all and by kind. */
  async counting<T>(work: () => Promise<T>): Promise<{ result: T; requests: Requests; total: number }> {
    const before = { ...this.requests };
    const result = await work();
    const requests = { ...this.requests };
    for (const kind of Object.keys(requests) as (keyof Requests)[]) requests[kind] -= before[kind];
    return { result, requests, total: Object.values(requests).reduce((sum, count) => sum + count, 0) };
  }

  put(key: string, body: StoreBody, options?: PutOptions): Promise<ObjectStat> {
    this.requests.put++;
    return this.memory.put(key, body, options);
  }

  get(...args: Parameters<Store['get']>): Promise<Uint8Array> {
    this.requests.get++;
    return this.memory.get(...args);
  }

  async stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined> {
    this.requests.stat++;
    return this.#stats.get(key) ?? (await this.memory.stat(key, options));
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectStat> {
    this.requests.list++;
    let listed = 0;
    for await (const stat of this.#all(prefix, options.startAfter ?? '')) {
      if (listed > 0 && listed % PAGE === 0) this.requests.list++;
      listed++;
      yield stat;
    }
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    this.requests.delete++;
    this.#stats.delete(key);
    return this.memory.delete(key, options);
  }

  async deleteMany(keys: readonly string[]): Promise<[]> {
    this.requests.delete += Math.ceil(keys.length / PAGE);
    for (const key of keys) this.#stats.delete(key);
    await this.memory.deleteMany(keys);
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Of the made-up keys, then of the others: those sort behind, but for other prefixes. */
  async *#all(prefix: string, after: string): AsyncGenerator<ObjectStat> {
    const own = 'machines/m/';
    if (own.startsWith(prefix) || prefix.startsWith(own)) {
      for (
        let index = this.#firstBehind(after > prefix ? after : prefix);
        index < this.#keys.length;
        index++
      ) {
        const stat = this.#stats.get(this.#keys[index]!);
        if (stat?.key.startsWith(prefix) && stat.key > after) yield stat;
      }
    }
    yield* listAfter(this.memory, prefix, after);
  }

  #firstBehind(key: string): number {
    let [low, high] = [0, this.#keys.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A store of so many checkpoints whose catalogue was packed as they came. */
export function packedStore(count: number): Promise<SyntheticStore> {
  return packedStoreOf(Array.from({ length: count }, (_, nth) => syntheticEntry(nth)));
}

/** The newest entries, which no full segment covers yet, and how many of them an open one holds. */
const YOUNG = 900;
const FLUSHED = 256;

/** A store of these objects of one machine, captured and derived, whose catalogue was packed as they came. */
export async function packedStoreOf(entries: readonly CheckpointEntry[]): Promise<SyntheticStore> {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  const newestMs = entries.reduce((newest, { createdAtMs }) => Math.max(newest, createdAtMs), 0);
  const store = new SyntheticStore(entries, newestMs);
  // Beside the checkpoints, not over them: they are there already.
  await Repository.init(store.memory);
  const segments = new SegmentStore(store, undefined);
  const read = ({ key }: ObjectStat) => Promise.resolve(byKey.get(key));
  await new Packer(store, segments, read, DEFAULT_SETTINGS).pack('m', {});
  // What is too young to be covered, as the writer that put it left it.
  for (const name of ['checkpoints', 'merged'] as const) {
    const keys = [...byKey.keys()].filter((key) => key.startsWith(`machines/m/${name}/`)).sort();
    for (let at = Math.max(0, keys.length - YOUNG); at < keys.length; at += FLUSHED) {
      const some = keys.slice(at, at + FLUSHED);
      const [after, last] = [nameOfKey(some[0]!), nameOfKey(some.at(-1)!)];
      const stretch = { full: false, after, last };
      const told = some.map((key) => byKey.get(key)!);
      await segments.put({ machine: 'm', name }, stretch, { entries: told, unread: [] });
    }
  }
  return store;
}
