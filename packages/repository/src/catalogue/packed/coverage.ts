import { directoryOf, splitKey, type SegmentName, type Series } from './segment-key.js';
import type { ReadSegment } from './segment-store.js';

/** Segments that claim a stretch of a series without a gap. */
export interface Stretch {
  readonly after: string;
  readonly last: string;
  readonly segments: readonly ReadSegment[];
}

export function seriesId({ machine, name }: Series): string {
  return `${machine}/${name}`;
}

/** Segments by series. */
export function bySeries<T extends { readonly series: Series }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(seriesId(item.series));
    if (group) group.push(item);
    else groups.set(seriesId(item.series), [item]);
  }
  return groups;
}

/** What the full ones among the segments of one series cover, in ascending order. */
export function stretchesOf(segments: readonly ReadSegment[]): Stretch[] {
  const full = segments
    .filter((segment) => segment.full)
    .sort((one, other) => compare(one.after, other.after));
  const stretches: { after: string; last: string; segments: ReadSegment[] }[] = [];
  for (const segment of full) {
    const current = stretches.at(-1);
    if (current && segment.after <= current.last) {
      current.segments.push(segment);
      if (segment.last > current.last) current.last = segment.last;
    } else {
      stretches.push({ after: segment.after, last: segment.last, segments: [segment] });
    }
  }
  return stretches;
}

/** Which stretches a listing may leave out. */
export class Coverage {
  readonly #stretches: ReadonlyMap<string, Stretch[]>;
  readonly #holes: ReadonlyMap<string, SegmentName[]>;

  constructor(
    segments: readonly ReadSegment[],
    /** Segments that could not be read: whatever others claim, what these held may be in no other. */
    unread: readonly SegmentName[],
    /** Objects that a stretch must still have for a further listing to be worth it. */
    private readonly worthwhile: number,
  ) {
    this.#holes = bySeries(unread.filter(({ full }) => full));
    this.#stretches = new Map([...bySeries(segments)].map(([id, some]) => [id, stretchesOf(some)]));
  }

  /** The last name of the covered stretch that goes on behind (or at) this object, where leaving it out pays. */
  jumpFrom(series: Series, name: string): string | undefined {
    const stretch = (this.#stretches.get(seriesId(series)) ?? []).find(
      ({ after, last }) => name > after && name <= last,
    );
    const holes = this.#holes.get(seriesId(series)) ?? [];
    if (!stretch || holes.some(({ after, last }) => name > after && name <= last)) return undefined;
    const to = holes.reduce((end, { after }) => (after >= name && after < end ? after : end), stretch.last);
    let ahead = 0;
    for (const { last, entries } of stretch.segments) if (last >= name) ahead += entries.length;
    return ahead >= this.worthwhile ? to : undefined;
  }

  /** As `jumpFrom`, from the beginning of a series. */
  jumpFromStart(series: Series): string | undefined {
    const first = this.#stretches.get(seriesId(series))?.[0];
    return first?.after === '' ? this.jumpFrom(series, first.last.slice(0, 1)) : undefined;
  }
}

/** A part of a series that a listing left out: from a name up to another, both with it. */
export interface LeftOut {
  readonly series: Series;
  readonly from: string;
  readonly to: string;
}

export function keyOfName(series: Series, name: string): string {
  return `${directoryOf(series)}${name}.fitdoc`;
}

/** Whether an object lies in one of the parts. */
export function isLeftOut(parts: readonly LeftOut[], key: string): boolean {
  const split = splitKey(key);
  if (!split) return false;
  return parts.some(
    ({ series, from, to }) =>
      seriesId(series) === seriesId(split.series) && split.name >= from && split.name <= to,
  );
}

/** What segments (of any kind) say of a part, in the order of keys, each object once. */
export function entriesWithin(part: LeftOut, segments: readonly ReadSegment[]): ReadSegment['entries'] {
  const ofSeries = segments.filter(({ series }) => seriesId(series) === seriesId(part.series));
  const pieces = ofSeries.map((segment) => within(segment, part)).filter((piece) => piece.length > 0);
  pieces.sort((one, other) => compare(one[0]!.key, other[0]!.key));
  return apart(pieces).flatMap((overlapping) => joined(overlapping));
}

/** Groups what overlaps, of pieces by their first keys. Few do: the newest full segment and those still open. */
function apart(pieces: readonly ReadSegment['entries'][]): ReadSegment['entries'][][] {
  const groups: ReadSegment['entries'][][] = [];
  let end = '';
  for (const piece of pieces) {
    const last = piece.at(-1)!.key;
    if (piece[0]!.key <= end) groups.at(-1)!.push(piece);
    else groups.push([piece]);
    if (last > end) end = last;
  }
  return groups;
}

function joined(overlapping: readonly ReadSegment['entries'][]): ReadSegment['entries'] {
  if (overlapping.length === 1) return overlapping[0]!;
  const found = new Map(overlapping.flat().map((entry) => [entry.key, entry]));
  return [...found.values()].sort((one, other) => compare(one.key, other.key));
}

/** A segment's entries are in order, so that a part of them is from one place to another. */
function within({ entries }: ReadSegment, { series, from, to }: LeftOut): ReadSegment['entries'] {
  const first = from === '' ? 0 : lowest(entries, keyOfName(series, from));
  const behind = lowest(entries, `${keyOfName(series, to)}\0`);
  return first === 0 && behind === entries.length ? entries : entries.slice(first, behind);
}

/** The first entry whose key is not below the given. */
function lowest(entries: ReadSegment['entries'], key: string): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
