import { readSummary, storeSource } from '@fitdoc/format';
import {
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type ObjectStat,
  type Store,
} from '@fitdoc/interface';
import { mapBounded } from '../bounded.js';
import { entryOf, isIntact, type CheckpointEntry, type ListedEntry } from './entry.js';
import { isOfObject, refuseWhenAllWithheld, refuseWithheld } from './unreadable.js';
import { machinePrefix, machineSegment, MACHINES_PREFIX, parseCheckpointKey } from '../layout.js';
import { EntryTable } from './entry-table.js';
import { Keeper } from './packed/keeper.js';
import { isLeftOut, type LeftOut } from './packed/coverage.js';
import type { PackOptions, PackReport } from './packed/packer.js';
import { DEFAULT_SETTINGS, type PackedSettings } from './packed/settings.js';
import { PackedView, type Told } from './packed/view.js';

const PARALLEL_READS = 16;

export interface ListFilter extends CallOptions {
  /** Only this machine's, by its id. */
  readonly machine?: string;
  /**
   * Ask the store for every object, whatever the catalogue's segments say: for what decides by it what may go.
   * Default false: an object that another process deleted may still be among the older ones.
   */
  readonly audit?: boolean;
}

/**
 * The objects of the repository's checkpoints, captured and derived: from packed segments where they cover them, from the tails of the objects
 * where not. Objects are immutable, so an entry is read once and kept by key.
 */
export class Catalogue {
  readonly #store: Store;
  readonly #table = new EntryTable();
  readonly #keeper: Keeper;
  /** The entries of segments that the table took in. */
  readonly #learned = new WeakSet<readonly CheckpointEntry[]>();
  /** What the last listing of each machine, or of all (''), did not ask the store for. */
  readonly #leftOut = new Map<string, readonly LeftOut[]>();

  constructor(store: Store, settings: Partial<PackedSettings> = {}) {
    this.#store = store;
    this.#keeper = new Keeper(store, (stat) => this.#read(stat, undefined), {
      ...DEFAULT_SETTINGS,
      ...settings,
    });
  }

  /** All objects, by key: of a machine the captured by sequence and time, then the derived as they were made. */
  async list(filter: ListFilter = {}): Promise<ListedEntry[]> {
    const call = filter.signal ? { signal: filter.signal } : {};
    const view = await PackedView.look(this.#store, this.#keeper, filter, call);
    this.#learn(filter, view.segmentEntries());
    const told = await view.objects((key) => this.#table.isGone(key), call);
    this.#leftOut.set(filter.machine ?? '', view.leftOut);
    const entries: (ListedEntry | undefined)[] = told.map((object) =>
      isEntry(object) ? object : this.#known(object),
    );
    await this.#readRest(told, entries, filter);
    this.#forgetVanished(filter, told);
    const listed = entries.filter((entry) => entry !== undefined);
    refuseWhenAllWithheld(listed);
    return listed;
  }

  /**
   * Those of `list` that can be read, for whoever removes on the strength of it. STORE_DENIED, STORE_UNAVAILABLE when
   * an object is withheld: what builds on what cannot be told then.
   */
  async listIntact(filter: ListFilter = {}): Promise<CheckpointEntry[]> {
    const listed = await this.list(filter);
    refuseWithheld(listed);
    return listed.filter(isIntact);
  }

  /**
   * Puts a checkpoint's object, by `put`, so that no listing can miss it: an object whose key sorts below one that
   * is there is announced first. Errors: those of `put`, and the store's.
   */
  admit<T>(key: string, put: () => Promise<T>, call: CallOptions = {}): Promise<T> {
    return this.#keeper.admit(key, put, call);
  }

  /** The highest name among the objects of a machine that were made of others; empty where there are none. */
  highestDerived(machine: string, call: CallOptions = {}): Promise<string> {
    return this.#keeper.highest({ machine: machineSegment(machine), name: 'merged' }, call);
  }

  /** Takes in what was just put. */
  add(entry: CheckpointEntry): void {
    this.#table.add(entry);
    this.#keeper.added(entry);
  }

  /** The object is gone. `thinned` takes such out of the segments. */
  forget(key: string): void {
    this.#table.remove(key);
    this.#keeper.removed(key);
  }

  /** Rewrites the segments that still hold what was forgotten, behind the caller's back. */
  thinned(machine: string): void {
    const gone = this.#table.goneOf(machinePrefix(machine));
    if (gone.size === 0) return;
    this.#keeper.behind(async () => {
      await this.#keeper.pack(machine, { removed: gone });
      this.#table.forgetGone(gone);
    });
  }

  /** See `Repository.maintain`. */
  pack(machine: string, options: PackOptions = {}): Promise<PackReport> {
    return this.#keeper.pack(machine, options);
  }

  /** Resolves when nothing goes on behind the caller's back any more, and nothing will. */
  close(): Promise<void> {
    return this.#keeper.close();
  }

  /** What is known already, without asking the store. */
  known(): Iterable<CheckpointEntry> {
    return this.#table.all();
  }

  /** Of what is known already, the machine's that show the state with this content hash. */
  showing(machine: string, contentHash: string): CheckpointEntry[] {
    return this.#table.showing(contentHash).filter((entry) => entry.machineId === machine);
  }

  /** Whether the object is still there, asked for only where the last listing did not. */
  async isThere({ key, machineId }: CheckpointEntry, call: CallOptions = {}): Promise<boolean> {
    const left = [...(this.#leftOut.get(machineId) ?? []), ...(this.#leftOut.get('') ?? [])];
    if (!isLeftOut(left, key) || (await this.#store.stat(key, call))) return true;
    this.forget(key);
    return false;
  }

  /** Reads what `entries` lacks of the objects `told` of. */
  async #readRest(
    told: readonly Told[],
    entries: (ListedEntry | undefined)[],
    { signal, onProgress }: ListFilter,
  ): Promise<void> {
    const unread = [...entries.keys()].filter((index) => entries[index] === undefined);
    let done = told.length - unread.length;
    await mapBounded(unread, PARALLEL_READS, async (index) => {
      entries[index] = await this.#read(told[index] as ObjectStat, signal);
      onProgress?.({ phase: 'reading summaries', done: ++done, total: told.length, unit: 'checkpoints' });
    });
  }

  /** Takes in what segments say, each of them once. */
  #learn(filter: ListFilter, segments: readonly (readonly CheckpointEntry[])[]): void {
    for (const entries of segments) {
      if (this.#learned.has(entries)) continue;
      this.#learned.add(entries);
      for (const entry of entries) this.#table.learn(entry);
    }
    if (!this.#table.hasGone) return;
    const spokenOf = new Set(segments.flatMap((entries) => entries.map(({ key }) => key)));
    this.#table.keepGone(prefixOf(filter), spokenOf);
  }

  #known(stat: ObjectStat): CheckpointEntry | undefined {
    const known = this.#table.get(stat.key);
    return known?.bytes === stat.size ? known : undefined;
  }

  async #read(stat: ObjectStat, signal: AbortSignal | undefined): Promise<ListedEntry | undefined> {
    const known = this.#known(stat);
    if (known) return known;
    throwIfAborted(signal);
    try {
      const summary = await readSummary(
        storeSource(this.#store, stat.key, stat.size),
        signal ? { signal } : {},
      );
      const entry = entryOf(summary, stat.key);
      this.#table.add(entry);
      this.#keeper.readFromObject(entry);
      return entry;
    } catch (error) {
      // Deleted between the listing and the read.
      if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
      if (!isOfObject(error)) throw error;
      return { ...parseCheckpointKey(stat.key)!, key: stat.key, bytes: stat.size, damaged: error };
    }
  }

  #forgetVanished(filter: ListFilter, told: readonly Told[]): void {
    const prefix = prefixOf(filter);
    // What a segment tells of the table has taken in.
    const isHeld = (object: Told) => isEntry(object) || this.#table.get(object.key) !== undefined;
    const held = told.reduce((count, object) => (isHeld(object) ? count + 1 : count), 0);
    if (held === this.#table.size) return;
    const there = new Set(told.map(({ key }) => key));
    for (const { key } of this.#table.all()) if (key.startsWith(prefix) && !there.has(key)) this.forget(key);
  }
}

function isEntry(object: Told): object is CheckpointEntry {
  return 'contentHash' in object;
}

function prefixOf({ machine }: ListFilter): string {
  return machine === undefined ? MACHINES_PREFIX : machinePrefix(machine);
}
