import { parseCheckpointKey } from '../../layout.js';
import type { CheckpointEntry } from '../entry.js';
import { seriesId } from './coverage.js';
import { fitsColumns, nameOfKey } from './entry-columns.js';
import { splitKey, type Series } from './segment-key.js';
import type { SegmentStore } from './segment-store.js';
import type { PackedSettings } from './settings.js';

/**
 * Entries that no segment holds yet: of what this process put, and of what it had to read from the objects. They
 * are put into open segments, which claim nothing, so that this needs no agreement with anybody.
 */
export class LooseEntries {
  readonly #loose = new Map<string, Map<string, CheckpointEntry>>();
  /** The open segment that this process is filling, by series. */
  readonly #growing = new Map<string, { key: string; entries: readonly CheckpointEntry[] }>();

  constructor(
    private readonly segments: SegmentStore,
    private readonly settings: PackedSettings,
  ) {}

  add(entry: CheckpointEntry): void {
    const split = splitKey(entry.key);
    if (!split || !parseCheckpointKey(entry.key) || !fitsColumns(entry.key)) return;
    const id = seriesId(split.series);
    const loose = this.#loose.get(id) ?? new Map<string, CheckpointEntry>();
    this.#loose.set(id, loose.set(entry.key, entry));
  }

  get isEmpty(): boolean {
    return [...this.#loose.values()].every(({ size }) => size === 0);
  }

  /** No longer loose: held by a segment, or gone. */
  delete(key: string): void {
    const split = splitKey(key);
    if (split) this.#loose.get(seriesId(split.series))?.delete(key);
  }

  /** Whether there is enough for a segment. */
  isDue(machine: string): boolean {
    return [...this.#loose].some(
      ([id, loose]) => id.startsWith(`${machine}/`) && loose.size >= this.settings.flushEvery,
    );
  }

  /** Puts what is loose of a machine (as it is in keys) into open segments. */
  async flush(machine: string): Promise<void> {
    for (const [id, loose] of this.#loose) {
      if (!id.startsWith(`${machine}/`) || loose.size < this.settings.flushEvery) continue;
      const entries = [...loose.values()];
      const { series } = splitKey(entries[0]!.key)!;
      await this.#put(series, id, entries);
    }
  }

  async #put(series: Series, id: string, fresh: readonly CheckpointEntry[]): Promise<void> {
    const { sizes, openSize } = this.settings;
    const growing = this.#growing.get(id);
    const grows = growing !== undefined && growing.entries.length + fresh.length <= sizes[0];
    const entries = [...(grows ? growing.entries : []), ...fresh];
    entries.sort((one, other) => (one.key < other.key ? -1 : 1));
    for (let at = 0; at < entries.length; at += openSize) {
      const some = entries.slice(at, at + openSize);
      const stretch = { full: false, after: nameOfKey(some[0]!.key), last: nameOfKey(some.at(-1)!.key) };
      const key = await this.segments.put(series, stretch, { entries: some, unread: [] });
      for (const entry of some) this.#loose.get(id)?.delete(entry.key);
      if (grows && key !== growing.key) await this.segments.remove([growing.key], {});
      this.#growing.set(id, { key, entries: some });
    }
  }
}
