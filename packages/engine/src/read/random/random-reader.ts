import {
  FitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type PageExtent,
  type PageRun,
  type RandomPages,
} from '@fitdoc/interface';
import type { WorkerPool } from '../../workers/pool.js';
import { BatchCache } from '../batch-cache.js';
import { nameObject } from '../name-object.js';
import type { PageLink } from '../replay.js';
import { gfnsOf, LayerCache, type BatchOf } from './layer-cache.js';
import { RecentCache } from './recent-cache.js';
import { storedRuns, stretchAround, type Stretch } from './stretch.js';

export interface RandomReaderOptions {
  readonly pool: WorkerPool;
  /** Pages of the machine. */
  readonly pages: number;
  /** Bytes of rebuilt pages that are kept. Default 64 MiB. */
  readonly rebuiltBytes?: number;
  /** Bytes of decoded increments that are kept. Default 128 MiB. */
  readonly layerBytes?: number;
}

/** What was found out of pages from some page on: as far as `end`, these are not known to be zero. */
export interface Occupied {
  /** The page behind the last that this is about. */
  readonly end: number;
  readonly runs: readonly PageRun[];
}

const REBUILT_BYTES = 64 << 20;
const LAYER_BYTES = 128 << 20;
/** Encoded batches of the base that are kept: one of few pages is needed for several stretches. */
const BASE_BYTES = 16 << 20;

/** A stretch's pages that are not zero. */
interface Rebuilt {
  readonly memory: SharedArrayBuffer;
  /** See RebuildResult. */
  readonly runs: Uint32Array;
}

/**
 * Serves pages of a chain in any order. Which batches a page needs, the indexes say; those are read by range, decoded
 * once, and all that lies around the page is rebuilt with it and kept for a while.
 */
export class RandomReader implements RandomPages {
  readonly stored: readonly PageRun[];
  readonly #base: PageLink;
  readonly #increments: readonly PageLink[];
  readonly #options: RandomReaderOptions;
  readonly #rebuilt: RecentCache<Rebuilt>;
  readonly #layers: LayerCache;
  readonly #encoded = new BatchCache(BASE_BYTES);

  /** `links`: a chain, base first. */
  constructor(links: readonly [PageLink, ...PageLink[]], options: RandomReaderOptions) {
    const [base, ...increments] = links;
    this.stored = storedRuns(links);
    this.#base = base;
    this.#increments = increments;
    this.#options = options;
    this.#rebuilt = new RecentCache(options.rebuiltBytes ?? REBUILT_BYTES, sizeOf);
    this.#layers = new LayerCache(options.pool, options.layerBytes ?? LAYER_BYTES);
  }

  async read(gfn: number, count: number, options: CallOptions = {}): Promise<readonly PageExtent[]> {
    const { pages } = this.#options;
    if (!Number.isInteger(gfn) || !Number.isInteger(count) || gfn < 0 || count < 0 || gfn + count > pages) {
      throw new FitdocError('ARGUMENT_INVALID', `No pages ${gfn} + ${count} in a machine of ${pages}.`);
    }
    throwIfAborted(options.signal);
    const stretches: Stretch[] = [];
    for (let at = gfn; at < gfn + count; at = stretches.at(-1)!.end)
      stretches.push(stretchAround(this.#base, at, pages));
    const rebuilt = await Promise.all(stretches.map((stretch) => this.#stretch(stretch, options)));
    return rebuilt.flatMap((each) => [...clipped(each, gfn, gfn + count)]);
  }

  /**
   * Which of those pages, or of the first of them, are not zero. Told by the indexes where they suffice; elsewhere by
   * rebuilding, of a few stretches at a time.
   */
  async occupied(gfn: number, count: number, options: CallOptions = {}): Promise<Occupied> {
    const end = gfn + count;
    const found: (PageRun | Stretch)[] = [];
    let at = gfn;
    for (let unclear = 0; at < end && unclear < this.#options.pool.workers * 2;) {
      const next = this.#nextStored(at, end);
      if (next > at) {
        at = next;
        continue;
      }
      const stretch = stretchAround(this.#base, at, this.#options.pages);
      const dense = this.#isDense(stretch);
      found.push(dense ? { start: at, count: Math.min(stretch.end, end) - at } : stretch);
      unclear += dense ? 0 : 1;
      at = Math.min(stretch.end, end);
    }
    const runs = await Promise.all(
      found.map(async (each) =>
        'end' in each ? runsWithin(await this.#stretch(each, options), gfn, at) : [each],
      ),
    );
    return { end: at, runs: runs.flat() };
  }

  async recent(count: number, options: CallOptions = {}): Promise<readonly PageRun[]> {
    const newest: BatchOf[] = [];
    let pages = 0;
    for (const link of this.#increments.toReversed()) {
      for (let batch = 0; batch < link.reader.batches.length && pages < count; batch++) {
        newest.push({ link, batch });
        pages += link.reader.batches[batch]!.pages;
      }
    }
    // All at once: their indexes tell how many pages they have.
    throwIfAborted(options.signal);
    // Without the caller's signal: others may wait for the same batches.
    const layers = await this.#layers.layers(newest, {});
    return layers.flatMap((memory) => runsOf(gfnsOf(memory)));
  }

  /** The first page from `at` on that any batch spans, or `end`. */
  #nextStored(at: number, end: number): number {
    const { stored } = this;
    let [low, high] = [0, stored.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (stored[middle]!.start + stored[middle]!.count <= at) low = middle + 1;
      else high = middle;
    }
    return Math.min(end, Math.max(at, stored[low]?.start ?? end));
  }

  /** Whether the base has every page of it. Some may have become zero since: those still count as held. */
  #isDense({ batch }: Stretch): boolean {
    if (batch === undefined) return false;
    const { firstGfn, lastGfn, pages } = this.#base.reader.batches[batch]!;
    return pages === lastGfn - firstGfn + 1;
  }

  #stretch(stretch: Stretch, options: CallOptions): Promise<Rebuilt> {
    const key = `${stretch.start}`;
    // Without the caller's signal: others may wait for the same pages.
    const { signal: _, ...rest } = options;
    return this.#rebuilt.get(key) ?? this.#rebuilt.set(key, this.#rebuild(stretch, rest));
  }

  async #rebuild(stretch: Stretch, options: CallOptions): Promise<Rebuilt> {
    const { start, end, batch } = stretch;
    const above = this.#above(stretch);
    if (batch === undefined && above.length === 0) return NOTHING;
    const base = this.#readBase(batch);
    // Its failure surfaces below; until then it must not count as unhandled.
    base.catch(() => undefined);
    const layers = await this.#layers.layers(above, options);
    const encoded = await base;
    const memory = new SharedArrayBuffer(this.#mostPages(stretch, layers) * PAGE_SIZE);
    const entries = batch === undefined ? [] : [this.#base.entry];
    const { runs } = await this.#options.pool
      .rebuild({ kind: 'rebuild', start, end, base: encoded, layers, memory })
      .catch(nameObject([...entries, ...above.map(({ link }) => link.entry)]));
    return { memory, runs };
  }

  async #readBase(batch: number | undefined): Promise<Uint8Array | undefined> {
    if (batch === undefined) return undefined;
    const { entry, reader } = this.#base;
    return this.#encoded.read(entry.key, reader, batch).catch(nameObject([entry]));
  }

  /** The batches of increments that reach into a stretch, in the order in which they lie on each other. */
  #above({ start, end }: Stretch): BatchOf[] {
    return this.#increments.flatMap((link) =>
      link.reader.batches.flatMap(({ firstGfn, lastGfn }, batch) =>
        firstGfn < end && lastGfn >= start ? [{ link, batch }] : [],
      ),
    );
  }

  /** No fewer than the pages that a stretch can turn out to have. */
  #mostPages({ start, end, batch }: Stretch, layers: readonly SharedArrayBuffer[]): number {
    const ofBase = batch === undefined ? 0 : this.#base.reader.batches[batch]!.pages;
    const ofLayers = layers.reduce(
      (sum, memory) => sum + gfnsOf(memory).filter((gfn) => gfn >= start && gfn < end).length,
      0,
    );
    return Math.min(end - start, ofBase + ofLayers);
  }
}

const NOTHING: Rebuilt = { memory: new SharedArrayBuffer(0), runs: new Uint32Array(0) };

/** A few bytes even for nothing, so that empty stretches are not kept without end. */
function sizeOf({ runs }: Rebuilt): number {
  const last = runs.length - 3;
  return 64 + (last < 0 ? 0 : (runs[last + 1]! + runs[last + 2]!) * PAGE_SIZE);
}

/** The parts of rebuilt runs that lie from `start` to before `end`. */
function* clipped({ memory, runs }: Rebuilt, start: number, end: number): Generator<PageExtent> {
  for (let i = 0; i < runs.length; i += 3) {
    const [gfn, count, slot] = [runs[i]!, runs[i + 1]!, runs[i + 2]!];
    const from = Math.max(gfn, start);
    const to = Math.min(gfn + count, end);
    if (from >= to) continue;
    const bytes = new Uint8Array(memory, (slot + from - gfn) * PAGE_SIZE, (to - from) * PAGE_SIZE);
    yield { gfn: from, bytes };
  }
}

/** Where rebuilt runs lie from `start` to before `end`. */
function runsWithin(rebuilt: Rebuilt, start: number, end: number): PageRun[] {
  return [...clipped(rebuilt, start, end)].map(({ gfn, bytes }) => ({
    start: gfn,
    count: bytes.length / PAGE_SIZE,
  }));
}

function runsOf(gfns: Uint32Array): PageRun[] {
  const runs: { start: number; count: number }[] = [];
  for (const gfn of gfns) {
    const last = runs.at(-1);
    if (last && last.start + last.count === gfn) last.count++;
    else runs.push({ start: gfn, count: 1 });
  }
  return runs;
}
