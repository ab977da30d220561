import type { CheckpointEntry } from '../entry.js';
import type { PackedSettings } from './settings.js';

/** A stretch of a series as a segment would claim it, `after` excluded, and what it holds. */
export interface Cell {
  readonly after: string;
  readonly last: string;
  /** In the order of their keys. */
  readonly entries: readonly CheckpointEntry[];
  readonly unread: readonly string[];
  /** Keys of the segments that hold exactly this already. */
  readonly stored: readonly string[];
}

/** What says how large cells grow: see `PackedSettings`. */
type Sizes = Pick<PackedSettings, 'sizes' | 'fanOut'>;

export function sizeOf({ entries, unread }: Cell): number {
  return entries.length + unread.length;
}

/** One cell of neighbours, or of such as overlap, in ascending order. */
export function join(cells: readonly Cell[]): Cell {
  const [first, ...rest] = cells;
  if (!first || rest.length === 0) return first!;
  const last = cells.reduce((high, cell) => (cell.last > high ? cell.last : high), first.last);
  return {
    after: first.after,
    last,
    entries: sorted(cells.flatMap((cell) => cell.entries)),
    unread: [...new Set(cells.flatMap((cell) => cell.unread))].sort(),
    stored: [],
  };
}

/** What of a cell still holds. */
export interface Truth {
  holds(entry: CheckpointEntry): boolean;
  /** Whether the object with this name still cannot be read. */
  isUnread(name: string): boolean;
}

/** Adds what lies in the cell's stretch. */
export function withEntries(cell: Cell, added: readonly CheckpointEntry[], unread: readonly string[]): Cell {
  const known = new Set(cell.entries.map(({ key }) => key));
  const fresh = added.filter(({ key }) => !known.has(key));
  const names = [...new Set([...cell.unread, ...unread])].sort();
  if (fresh.length === 0 && names.length === cell.unread.length) return cell;
  return { ...cell, entries: sorted([...cell.entries, ...fresh]), unread: names, stored: [] };
}

/** Takes out what does not hold any more. */
export function without(cell: Cell, truth: Truth): Cell {
  const entries = cell.entries.filter((entry) => truth.holds(entry));
  const unread = cell.unread.filter((name) => truth.isUnread(name));
  if (entries.length === cell.entries.length && unread.length === cell.unread.length) return cell;
  return { ...cell, entries, unread, stored: [] };
}

/**
 * Brings the cells of a series, in ascending order, into as few as their sizes allow: overlapping ones become one,
 * enough small neighbours become one of the next level, and so do neighbours that thinning left nearly empty.
 */
export function fold(cells: readonly Cell[], sizes: Sizes): Cell[] {
  const levels = sizes.sizes.slice(1).map((_, level) => level);
  const folded = runsOf(cells).flatMap((run) =>
    levels.reduce((some, level) => foldLevel(some, level, sizes), foldPairs(run, sizes)),
  );
  // What became one may now be small beside its neighbours.
  return folded.length < cells.length ? fold(folded, sizes) : folded;
}

/** Groups neighbours without a gap, overlapping ones joined. */
function runsOf(cells: readonly Cell[]): Cell[][] {
  const runs: Cell[][] = [];
  for (const cell of cells) {
    const run = runs.at(-1);
    const before = run?.at(-1);
    if (!run || !before || cell.after > before.last) runs.push([cell]);
    else if (cell.after === before.last) run.push(cell);
    else run.splice(-1, 1, join([before, cell]));
  }
  return runs;
}

function foldPairs(cells: readonly Cell[], { sizes }: Sizes): Cell[] {
  const folded: Cell[] = [];
  for (const cell of cells) {
    const before = folded.at(-1);
    if (before && sizeOf(before) + sizeOf(cell) <= sizes[0]) folded.splice(-1, 1, join([before, cell]));
    else folded.push(cell);
  }
  return folded;
}

/** Joins stretches of cells no larger than the level's size, where there are enough of them. */
function foldLevel(cells: readonly Cell[], level: number, { sizes, fanOut }: Sizes): Cell[] {
  const folded: Cell[] = [];
  let small: Cell[] = [];
  const flush = (): void => {
    folded.push(...(small.length >= fanOut * (level + 1) ? grouped(small, sizes[level + 1]!) : small));
    small = [];
  };
  for (const cell of cells) {
    if (sizeOf(cell) <= sizes[level]!) {
      small.push(cell);
      continue;
    }
    flush();
    folded.push(cell);
  }
  flush();
  return folded;
}

function grouped(cells: readonly Cell[], most: number): Cell[] {
  const groups: Cell[][] = [];
  let size = 0;
  for (const cell of cells) {
    const group = groups.at(-1);
    if (group && size + sizeOf(cell) <= most) {
      group.push(cell);
      size += sizeOf(cell);
    } else {
      groups.push([cell]);
      size = sizeOf(cell);
    }
  }
  return groups.map(join);
}

function sorted(entries: readonly CheckpointEntry[]): CheckpointEntry[] {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  return [...byKey.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
}
