import { readSummary, storeSource } from '@fitdoc/format';
import {
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type ObjectStat,
  type Store,
} from '@fitdoc/interface';
import { mapBounded } from './bounded.js';
import { isIntact, type CheckpointEntry, type ListedEntry } from './entry.js';
import { machinePrefix, MACHINES_PREFIX, parseCheckpointKey } from './layout.js';

const PARALLEL_READS = 16;

/** Errors that say something of the object, not of the way to it. */
const UNREADABLE = new Set<string>([
  'FORMAT_FOREIGN',
  'FORMAT_VERSION',
  'FORMAT_UNSUPPORTED',
  'FORMAT_TRUNCATED',
  'FORMAT_DAMAGED',
  'FORMAT_LIMIT',
]);

export interface ListFilter extends CallOptions {
  /** Only this machine's, by its id. */
  readonly machine?: string;
}

/**
 * The checkpoints of the repository, read from the tails of their objects. Objects are immutable, so an entry
 * is read once and kept by key; memory grows by about a kilobyte a checkpoint.
 */
export class Catalogue {
  readonly #store: Store;
  readonly #entries = new Map<string, CheckpointEntry>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** All checkpoints, by machine, then sequence, then time. */
  async list(filter: ListFilter = {}): Promise<ListedEntry[]> {
    const prefix = filter.machine === undefined ? MACHINES_PREFIX : machinePrefix(filter.machine);
    const call = filter.signal ? { signal: filter.signal } : {};
    const stats: ObjectStat[] = [];
    for await (const stat of this.#store.list(prefix, call)) {
      if (parseCheckpointKey(stat.key)) stats.push(stat);
    }
    this.#forgetVanished(prefix, stats);
    let done = 0;
    const entries = await mapBounded(stats, PARALLEL_READS, async (stat) => {
      const entry = await this.#read(stat, filter.signal);
      filter.onProgress?.({
        phase: 'reading summaries',
        done: ++done,
        total: stats.length,
        unit: 'checkpoints',
      });
      return entry;
    });
    return entries.filter((entry) => entry !== undefined);
  }

  async listIntact(filter: ListFilter = {}): Promise<CheckpointEntry[]> {
    return (await this.list(filter)).filter(isIntact);
  }

  /** Takes in what was just put. */
  add(entry: CheckpointEntry): void {
    this.#entries.set(entry.key, entry);
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }

  /** What is known already, without asking the store. */
  known(): Iterable<CheckpointEntry> {
    return this.#entries.values();
  }

  async #read(stat: ObjectStat, signal: AbortSignal | undefined): Promise<ListedEntry | undefined> {
    const known = this.#entries.get(stat.key);
    if (known?.bytes === stat.size) return known;
    throwIfAborted(signal);
    try {
      const summary = await readSummary(
        storeSource(this.#store, stat.key, stat.size),
        signal ? { signal } : {},
      );
      const entry: CheckpointEntry = { ...summary, key: stat.key };
      this.#entries.set(stat.key, entry);
      return entry;
    } catch (error) {
      // Deleted between the listing and the read.
      if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
      if (!isFitdocError(error) || !UNREADABLE.has(error.code)) throw error;
      return { ...parseCheckpointKey(stat.key)!, key: stat.key, bytes: stat.size, damaged: error };
    }
  }

  #forgetVanished(prefix: string, stats: readonly ObjectStat[]): void {
    const there = new Set(stats.map((stat) => stat.key));
    for (const key of this.#entries.keys()) {
      if (key.startsWith(prefix) && !there.has(key)) this.#entries.delete(key);
    }
  }
}
