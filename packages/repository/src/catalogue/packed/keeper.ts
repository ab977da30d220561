import type { CallOptions, Store } from '@fitdoc/interface';
import { machineSegment } from '../../layout.js';
import type { CheckpointEntry } from '../entry.js';
import { LateWatch } from './late-watch.js';
import { LooseEntries } from './loose.js';
import { Packer, type PackOptions, type PackReport, type ReadEntry } from './packer.js';
import { splitKey, type Series } from './segment-key.js';
import { SegmentStore, type ReadSegment } from './segment-store.js';
import type { PackedSettings } from './settings.js';

/**
 * Keeps the packed part of the catalogue while checkpoints come and go. What it does of itself it does behind the
 * caller's back, one thing after the other, and without a word when it fails: all of it is derived, and somebody
 * else's turn comes.
 */
export class Keeper {
  readonly segments: SegmentStore;
  readonly watch: LateWatch;
  readonly #loose: LooseEntries;
  readonly #packer: Packer;
  readonly #putsSincePack = new Map<string, number>();
  readonly #closing = new AbortController();
  #work: Promise<void> = Promise.resolve();

  constructor(
    store: Store,
    readEntry: ReadEntry,
    readonly settings: PackedSettings,
  ) {
    this.segments = new SegmentStore(store, settings.cache);
    this.watch = new LateWatch(store, settings);
    this.#loose = new LooseEntries(this.segments, settings);
    this.#packer = new Packer(store, this.segments, readEntry, settings);
  }

  /** See `Catalogue.admit`. */
  async admit<T>(key: string, put: () => Promise<T>, call: CallOptions): Promise<T> {
    const split = splitKey(key);
    if (!split) return put();
    const { series, name } = split;
    const late = await this.watch.isLate(series, name, call);
    if (late) await this.segments.putNote(series, name, call);
    const began = this.settings.steady();
    const result = await put();
    // So long that others may have covered its stretch without it.
    const slow = this.settings.steady() - began > this.settings.horizonMs / 2;
    if (!late && slow && (await this.watch.isBelowAnother(series, name, call))) {
      await this.segments.putNote(series, name, call);
    }
    this.watch.saw(series, name);
    return result;
  }

  /** The highest name of a series. Asks only for what stands above the highest that is known. */
  highest(series: Series, call: CallOptions): Promise<string> {
    return this.watch.highest(series, call);
  }

  readFromObject(entry: CheckpointEntry): void {
    this.#loose.add(entry);
  }

  removed(key: string): void {
    this.#loose.delete(key);
  }

  heldBySegments(segments: readonly ReadSegment[]): void {
    if (this.#loose.isEmpty) return;
    for (const { entries } of segments) for (const { key } of entries) this.#loose.delete(key);
  }

  added(entry: CheckpointEntry): void {
    this.#loose.add(entry);
    const machine = machineSegment(entry.machineId);
    const puts = (this.#putsSincePack.get(machine) ?? 0) + 1;
    this.#putsSincePack.set(machine, puts);
    if (this.#loose.isDue(machine)) this.behind(() => this.#loose.flush(machine));
    if (puts < this.settings.packEvery) return;
    this.#putsSincePack.set(machine, 0);
    this.behind(async () => void (await this.pack(entry.machineId, { signal: this.#closing.signal })));
  }

  pack(machineId: string, options: PackOptions): Promise<PackReport> {
    return this.#packer.pack(machineId, options);
  }

  behind(work: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (!this.#closing.signal.aborted) await work().catch(() => undefined);
    });
  }

  /** Waits for what was asked for until now; nothing goes on afterwards. */
  async close(): Promise<void> {
    await this.#work;
    this.#closing.abort();
  }
}
