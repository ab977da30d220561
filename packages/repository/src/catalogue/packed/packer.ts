import type { CallOptions, ObjectStat, Store } from '@fitdoc/interface';
import { isIntact, type CheckpointEntry, type ListedEntry } from '../entry.js';
import { parseCheckpointKey } from '../../layout.js';
import { fold, sizeOf, withEntries, without, type Cell, type Truth } from './cells.js';
import { bySeries, Coverage, keyOfName, stretchesOf } from './coverage.js';
import { fitsColumns, nameOfKey } from './entry-columns.js';
import { scan } from './scan.js';
import { directoryOf, splitKey, type LateNote, type Series } from './segment-key.js';
import type { ReadSegment, SegmentStore } from './segment-store.js';
import type { PackedSettings } from './settings.js';

/** A note whose object has not come for so long was left by a writer that died. */
const ABANDONED_MS = 24 * 3_600_000;

export interface PackOptions extends CallOptions {
  /**
   * List every object, and bring what segments say into line with that. Default false: list only what no segment
   * covers.
   */
  readonly audit?: boolean;
  /** Keys of objects that were deleted, to be left out. */
  readonly removed?: ReadonlySet<string>;
}

export interface PackReport {
  /** Segments written and deleted. */
  readonly written: number;
  readonly deleted: number;
  /** By an audit: entries of objects that are gone, and objects that segments should have known and did not. */
  readonly stale: number;
  readonly missed: number;
}

/** What the packer needs to know of one series, as of the moments at which it looked, in this order. */
interface SeriesView {
  readonly series: Series;
  readonly segments: readonly ReadSegment[];
  readonly notes: readonly LateNote[];
  /** Objects: all of them in an audit, else those that no full segment covers. */
  readonly listed: readonly ObjectStat[];
}

/** What full segments should hold and do not. */
interface Strays {
  readonly strays: readonly CheckpointEntry[];
  /** Keys of objects that are there and cannot be read. */
  readonly unread: readonly string[];
  /** Keys that a late note speaks of and nothing is under. */
  readonly absent: ReadonlySet<string>;
}

/** Reads one object's summary; undefined when it is gone. */
export type ReadEntry = (stat: ObjectStat) => Promise<ListedEntry | undefined>;

/**
 * Keeps a machine's segments few. Any number of packers and writers may be at work: what one writes holds all that
 * it deletes, so that at every moment an entry is in a segment, or its object in a stretch that is listed, or it
 * has a late note. The order (notes and segments, then objects; puts before deletes) is what this stands on.
 */
export class Packer {
  constructor(
    private readonly store: Store,
    private readonly segments: SegmentStore,
    private readonly readEntry: ReadEntry,
    private readonly settings: PackedSettings,
  ) {}

  async pack(machineId: string, options: PackOptions): Promise<PackReport> {
    const call = options.signal ? { signal: options.signal } : {};
    const found = await this.segments.find(machineId, call);
    const { read, unread } = await this.segments.read(found.segments, call);
    const coverage = new Coverage(read, unread, options.audit ? Infinity : 1);
    const { listed } = await scan(this.store, machineId, coverage, call);
    const [segments, notes] = [bySeries(read), bySeries(found.late)];
    const objects = bySeries(listed.map((stat) => ({ ...stat, series: splitKey(stat.key)!.series })));
    const report = { written: 0, deleted: 0, stale: 0, missed: 0 };
    for (const id of new Set([...segments.keys(), ...notes.keys(), ...objects.keys()])) {
      const view = {
        segments: segments.get(id) ?? [],
        notes: notes.get(id) ?? [],
        listed: objects.get(id) ?? [],
      };
      const { series } = [...view.segments, ...view.notes, ...(objects.get(id) ?? [])][0]!;
      const part = await this.#packSeries({ series, ...view }, options, call);
      report.written += part.written;
      report.deleted += part.deleted;
      report.stale += part.stale;
      report.missed += part.missed;
    }
    // Their stretches were listed; what a segment held that cannot be read is in others now.
    await this.segments.removeDamaged(unread, call);
    return report;
  }

  async #packSeries(view: SeriesView, options: PackOptions, call: CallOptions): Promise<PackReport> {
    const before = fullCells(view.segments);
    const truth = truthOf(view, options);
    const live = before.map((cell) => without(cell, truth));
    const fresh = await this.#cover(view, before);
    const merged = [...live, ...fresh].sort((one, other) => (one.after < other.after ? -1 : 1));
    const { strays, unread, absent } = await this.#strays(view, merged, truth, call);
    const filled = merged.map((cell) => {
      const inside = (key: string): boolean => isIn(cell, key);
      return withEntries(
        cell,
        strays.filter(({ key }) => inside(key)),
        unread.filter(inside).map(nameOfKey),
      );
    });
    const cells = fold(filled, this.settings);
    const kept = new Set<string>();
    let written = 0;
    for (const cell of cells) {
      if (cell.stored.length > 0) {
        for (const key of cell.stored) kept.add(key);
        continue;
      }
      const stretch = { full: true, after: cell.after, last: cell.last };
      kept.add(await this.segments.put(view.series, stretch, cell));
      written++;
    }
    const obsolete = [...obsoleteSegments(view, cells, truth), ...obsoleteNotes(view, cells, absent)].filter(
      (key) => !kept.has(key),
    );
    await this.segments.remove(obsolete, call);
    const sum = (all: readonly Cell[]): number => all.reduce((total, cell) => total + sizeOf(cell), 0);
    const missed = options.audit ? missedBefore(view, before, strays) : 0;
    return { written, deleted: obsolete.length, stale: sum(before) - sum(live), missed };
  }

  /** New cells for what no segment covers and is old enough, by the store's own times. */
  async #cover(view: SeriesView, covered: readonly Cell[]): Promise<Cell[]> {
    const newestMs = newestOf(view.listed);
    const cells: Cell[] = [];
    let pending: ObjectStat[] = [];
    let after = '';
    let young = false;
    const stretches = [...covered];
    const flush = async (until: string | undefined): Promise<void> => {
      const closed = until !== undefined && until > after && !young;
      for (const count of cut(pending.length, closed, this.settings.sizes)) {
        const some = pending.splice(0, count);
        const last = closed && pending.length === 0 ? until : nameOfKey(some.at(-1)!.key);
        cells.push({ after, last, ...(await this.#contents(some)), stored: [] });
        after = last;
      }
      pending = [];
      young = false;
    };
    for (const stat of view.listed) {
      const name = nameOfKey(stat.key);
      while (stretches[0] && stretches[0].last < name) {
        await flush(stretches[0].after);
        const { last } = stretches.shift()!;
        if (last > after) after = last;
      }
      if (stretches[0] && name > stretches[0].after) continue;
      young ||= stat.modifiedMs > newestMs - this.settings.horizonMs;
      if (!young) pending.push(stat);
    }
    await flush(stretches[0]?.after);
    return cells;
  }

  async #contents(stats: readonly ObjectStat[]): Promise<Pick<Cell, 'entries' | 'unread'>> {
    const entries: CheckpointEntry[] = [];
    const unread: string[] = [];
    for (const stat of stats) {
      const entry = await this.readEntry(stat);
      if (entry && isIntact(entry) && fitsColumns(entry.key)) entries.push(entry);
      else if (entry) unread.push(nameOfKey(stat.key));
    }
    return { entries, unread };
  }

  /** Entries that full segments should hold and do not: of open segments, of late notes, of an audit's listing. */
  async #strays(view: SeriesView, cells: readonly Cell[], truth: Truth, call: CallOptions): Promise<Strays> {
    const absent = new Set<string>();
    const damaged: string[] = [];
    const known = new Set(cells.flatMap(({ entries }) => entries.map(({ key }) => key)));
    const unread = new Set(cells.flatMap((cell) => cell.unread));
    const wanted = (key: string) =>
      !known.has(key) && !unread.has(nameOfKey(key)) && cells.some((cell) => isIn(cell, key));
    const strays = new Map<string, CheckpointEntry>();
    for (const { full, entries } of view.segments) {
      for (const entry of full ? [] : entries)
        if (wanted(entry.key) && truth.holds(entry)) strays.set(entry.key, entry);
    }
    const stats = view.listed.filter(({ key }) => wanted(key) && !strays.has(key));
    for (const { series, name } of view.notes) {
      const key = keyOfName(series, name);
      if (!wanted(key) || strays.has(key)) continue;
      const stat = await this.store.stat(key, call);
      if (stat) stats.push(stat);
      else absent.add(key);
    }
    for (const stat of stats) {
      const entry = parseCheckpointKey(stat.key) && (await this.readEntry(stat));
      if (entry && isIntact(entry) && fitsColumns(entry.key)) strays.set(entry.key, entry);
      else if (entry) damaged.push(stat.key);
    }
    return { strays: [...strays.values()], unread: damaged, absent };
  }
}

/** All full segments (their entries are in the cells), and open ones that have nothing that the cells have not. */
function obsoleteSegments(view: SeriesView, cells: readonly Cell[], truth: Truth): string[] {
  const held = heldBy(cells);
  const isDone = ({ full, entries }: ReadSegment): boolean =>
    full || entries.every((entry) => held.has(entry.key) || !truth.holds(entry));
  return view.segments.filter(isDone).map(({ key }) => key);
}

/** Notes of what the cells hold, be it as unread, and those whose object did not come in a long time. */
function obsoleteNotes(view: SeriesView, cells: readonly Cell[], absent: ReadonlySet<string>): string[] {
  const held = heldBy(cells);
  const unread = new Set(cells.flatMap((cell) => cell.unread));
  const newestMs = newestOf([...view.listed, ...view.notes]);
  const isDone = (note: LateNote): boolean => {
    const key = keyOfName(note.series, note.name);
    if (held.has(key) || unread.has(note.name)) return true;
    return absent.has(key) && note.modifiedMs < newestMs - ABANDONED_MS;
  };
  return view.notes.filter(isDone).map(({ key }) => key);
}

function heldBy(cells: readonly Cell[]): Set<string> {
  return new Set(cells.flatMap(({ entries }) => entries.map(({ key }) => key)));
}

function newestOf(objects: readonly { readonly modifiedMs: number }[]): number {
  return objects.reduce((newest, { modifiedMs }) => Math.max(newest, modifiedMs), -Infinity);
}

/** How many of the strays nothing in the catalogue told of. */
function missedBefore(
  view: SeriesView,
  covered: readonly Cell[],
  strays: readonly CheckpointEntry[],
): number {
  const told = new Set(view.segments.flatMap(({ entries }) => entries.map(({ key }) => key)));
  for (const { series, name } of view.notes) told.add(keyOfName(series, name));
  return strays.filter(({ key }) => !told.has(key) && covered.some((cell) => isIn(cell, key))).length;
}

function isIn({ after, last }: Cell, key: string): boolean {
  const name = nameOfKey(key);
  return name > after && name <= last;
}

function fullCells(segments: readonly ReadSegment[]): Cell[] {
  return stretchesOf(segments)
    .flatMap((stretch) => stretch.segments)
    .map(({ after, last, entries, unread, key }) => ({ after, last, entries, unread, stored: [key] }));
}

/** What is known to be so, of what segments say. */
function truthOf(view: SeriesView, options: PackOptions): Truth {
  const directory = directoryOf(view.series);
  const isRemoved = (name: string): boolean => options.removed?.has(`${directory}${name}.fitdoc`) ?? false;
  if (!options.audit) {
    return { holds: ({ key }) => options.removed?.has(key) !== true, isUnread: (name) => !isRemoved(name) };
  }
  const sizes = new Map(view.listed.map(({ key, size }) => [key, size]));
  // What could not be read is tried again, and found anew when it still cannot.
  return { holds: ({ key, bytes }) => sizes.get(key) === bytes, isUnread: () => false };
}

/** Sizes of the cells for so many objects; what does not fill one waits, unless the stretch is closed. */
function cut(count: number, closed: boolean, levels: PackedSettings['sizes']): number[] {
  const sizes: number[] = [];
  let left = count;
  for (const size of [...levels].reverse()) for (; left >= size; left -= size) sizes.push(size);
  // An empty one closes a gap in which nothing is.
  if (closed && (left > 0 || count === 0)) sizes.push(left);
  return sizes;
}
