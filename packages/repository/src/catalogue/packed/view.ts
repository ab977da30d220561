import type { CallOptions, ObjectStat, Store } from '@fitdoc/interface';
import { parseCheckpointKey } from '../../layout.js';
import type { CheckpointEntry } from '../entry.js';
import { Coverage, entriesWithin, isLeftOut, keyOfName, type LeftOut } from './coverage.js';
import type { Keeper } from './keeper.js';
import { scan, type Scan } from './scan.js';
import { splitKey, type FoundSegment } from './segment-key.js';
import type { Found, ReadSegment } from './segment-store.js';

/** Looks at a catalogue that others keep changing. */
const LOOKS = 5;

/** An object: as the store listed it, or as a segment knows it. */
export type Told = ObjectStat | CheckpointEntry;

export interface ViewFilter {
  readonly machine?: string;
  readonly audit?: boolean;
}

/** What segments and listing together say of a repository, or of a machine, at one time. */
export class PackedView {
  private constructor(
    private readonly store: Store,
    private readonly found: Found,
    private readonly segments: readonly ReadSegment[],
    private readonly scanned: Scan,
  ) {}

  /** Looks again when full segments came or went meanwhile: what left one is in another that was not seen. */
  static async look(
    store: Store,
    keeper: Keeper,
    filter: ViewFilter,
    call: CallOptions,
  ): Promise<PackedView> {
    for (let looks = 1; ; looks++) {
      const found = await keeper.segments.find(filter.machine, call);
      const { read, unread } = await keeper.segments.read(found.segments, call);
      const coverage = new Coverage(
        read,
        unread,
        filter.audit || looks > LOOKS ? Infinity : keeper.settings.worthwhile,
      );
      const askedAtMs = keeper.settings.steady();
      const scanned = await scan(store, filter.machine, coverage, call);
      const view = new PackedView(store, found, read, scanned);
      if (!(await view.isSteady(keeper, filter.machine, call))) continue;
      view.#tell(keeper, askedAtMs);
      return view;
    }
  }

  get leftOut(): readonly LeftOut[] {
    return this.scanned.leftOut;
  }

  /** All that segments hold, gone ones among it, segment by segment. */
  segmentEntries(): readonly (readonly CheckpointEntry[])[] {
    return this.segments.map(({ entries }) => entries);
  }

  /** The objects that are there: as listed, or as segments and late notes tell of what was not listed. */
  async objects(isGone: (key: string) => boolean, call: CallOptions): Promise<Told[]> {
    const { listed, leftOut } = this.scanned;
    const told: Told[] = [...listed];
    for (const part of leftOut) {
      for (const entry of entriesWithin(part, this.segments)) if (!isGone(entry.key)) told.push(entry);
    }
    for (const key of this.#askedFor(told)) {
      const stat = await this.store.stat(key, call);
      if (stat) told.push(stat);
    }
    return unique(told);
  }

  /** Keys of which only the store can tell: of late notes, and of objects that could not be packed. */
  #askedFor(told: readonly Told[]): Set<string> {
    const keys = [
      ...this.found.late.map(({ series, name }) => keyOfName(series, name)),
      ...this.segments.flatMap(({ series, unread }) => unread.map((name) => keyOfName(series, name))),
    ];
    if (keys.length === 0) return new Set();
    const known = new Set(told.map(({ key }) => key));
    const asked = (key: string) =>
      !known.has(key) && parseCheckpointKey(key) !== undefined && isLeftOut(this.leftOut, key);
    return new Set(keys.filter(asked));
  }

  private async isSteady(keeper: Keeper, machine: string | undefined, call: CallOptions): Promise<boolean> {
    if (this.leftOut.length === 0) return true;
    const again = await keeper.segments.find(machine, call);
    return fullKeys(again.segments) === fullKeys(this.found.segments);
  }

  #tell(keeper: Keeper, askedAtMs: number): void {
    keeper.heldBySegments(this.segments);
    const highest = new Map(this.scanned.listed.map(({ key }) => [key.slice(0, key.lastIndexOf('/')), key]));
    for (const key of highest.values()) {
      const split = splitKey(key);
      if (split) keeper.watch.saw(split.series, split.name, askedAtMs);
    }
  }
}

function fullKeys(segments: readonly FoundSegment[]): string {
  return segments
    .filter(({ full }) => full)
    .map(({ key }) => key)
    .join('\n');
}

/** In the order of keys, each once. */
function unique(stats: Told[]): Told[] {
  const isSorted = stats.every((stat, index) => index === 0 || stats[index - 1]!.key < stat.key);
  if (isSorted) return stats;
  stats.sort((one, other) => (one.key < other.key ? -1 : 1));
  return stats.filter((stat, index) => index === 0 || stats[index - 1]!.key !== stat.key);
}
