import { DirtyBitmap } from '@fitdoc/bitmap';
import {
  FitdocError,
  PAGE_SIZE,
  throwIfAborted,
  totalPages,
  WORDS_PER_PAGE,
  type CallOptions,
  type MemoryRegion,
  type PageRun,
} from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { BatchCache } from '../read/batch-cache.js';
import type { Engine } from '../engine.js';
import { holdChain, type HeldChain } from '../read/held-chain.js';
import { replay, type OpenLink, type PageLink } from '../read/replay.js';
import { DEFAULT_READ_MEMORY, occupied, windowSizes } from '../read/windows.js';
import { diskPairs, type DiskPair } from './disk-pairs.js';

export interface RegionDifference {
  readonly region: string;
  readonly pages: number;
  readonly words: number;
}

/** A disk that at least one of two checkpoints holds. */
export interface DiskDifference {
  readonly disk: string;
  /** Blocks of 4 KiB of which at least one word differs. Where only one holds the disk: undefined, nothing was read. */
  readonly blocks?: number;
  readonly words?: number;
  /** Size in bytes in each of the two; undefined where that one does not hold it. */
  readonly sizes: readonly [from: number | undefined, to: number | undefined];
}

export interface CheckpointDifference {
  /** Pages of which at least one word differs. */
  readonly pages: number;
  readonly words: number;
  readonly regions: readonly RegionDifference[];
  /** One bit a page of the machine. */
  readonly map: DirtyBitmap;
  readonly disks: readonly DiskDifference[];
}

export interface CompareOptions extends CallOptions {
  readonly memory?: number;
}

/**
 * What differs between two checkpoints of machines with the same memory layout, on one chain or on two.
 * Memory and disks are rebuilt only where either chain has batches that the other has not.
 * Errors: MACHINE_INCOMPATIBLE, and those of reading.
 */
export async function compare(
  engine: Engine,
  repository: Repository,
  [from, to]: readonly [CheckpointEntry, CheckpointEntry],
  options: CompareOptions = {},
): Promise<CheckpointDifference> {
  const left = await holdChain(repository, from, 'comparison', options);
  try {
    const right = await holdChain(repository, to, 'comparison', options);
    try {
      return await difference(engine, left, right, options);
    } finally {
      await right.lease.release();
    }
  } finally {
    await left.lease.release();
  }
}

async function difference(
  engine: Engine,
  left: HeldChain,
  right: HeldChain,
  options: CompareOptions,
): Promise<CheckpointDifference> {
  const regions = commonRegions(left.links, right.links);
  const shared = sharedLength(left.links, right.links);
  const sides = [left.links.slice(shared), right.links.slice(shared)] as const;
  const common = left.links.slice(0, shared);
  const tally = new Tally(regions);
  for await (const pair of pairs(engine, common, sides, totalPages(regions), options)) tally.add(pair);
  const disks: DiskDifference[] = [];
  for (const pair of diskPairs(left.links, right.links))
    disks.push(await diskDifference(engine, pair, options));
  return { ...tally.result(), disks };
}

async function diskDifference(
  engine: Engine,
  { name, sizes, spans }: DiskPair,
  options: CompareOptions,
): Promise<DiskDifference> {
  if (!spans) return { disk: name, sizes };
  let [blocks, words] = [0, 0];
  for (const { pages, left, right } of spans) {
    const shared = sharedLength(left, right);
    const sides = [left.slice(shared), right.slice(shared)] as const;
    const tally = new Tally([{ name, firstGfn: 0, pages, kind: 'device' }]);
    for await (const pair of pairs(engine, left.slice(0, shared), sides, pages, options)) tally.add(pair);
    const counted = tally.result();
    blocks += counted.pages;
    words += counted.words;
  }
  return { disk: name, blocks, words, sizes };
}

interface WindowPair {
  readonly run: PageRun;
  readonly left: BigUint64Array;
  readonly right: BigUint64Array;
  readonly candidates: DirtyBitmap;
}

async function* pairs(
  engine: Engine,
  common: readonly PageLink[],
  sides: readonly [readonly PageLink[], readonly PageLink[]],
  pages: number,
  options: CompareOptions,
): AsyncGenerator<WindowPair> {
  const { signal, onProgress } = options;
  const sizes = windowSizes(pages, (options.memory ?? DEFAULT_READ_MEMORY) / 2);
  const cache = new BatchCache(sizes.cacheBytes * 2);
  const memories = [0, 1].map(() => new SharedArrayBuffer(Math.min(sizes.windowPages, pages) * PAGE_SIZE));
  const [left, right] = memories as [SharedArrayBuffer, SharedArrayBuffer];
  for (const run of occupied([...sides[0], ...sides[1]], pages, sizes.windowPages)) {
    throwIfAborted(signal);
    const candidates = new DirtyBitmap(run.count);
    const apply = (links: readonly PageLink[], memory: SharedArrayBuffer, counted: boolean): Promise<void> =>
      replay(links, {
        pool: engine.pool,
        cache,
        target: { kind: 'window', memory, firstGfn: run.start, pages: run.count },
        window: run,
        ...(signal && { signal }),
        onBatch: (_link, { gfns }) => {
          if (counted) mark(candidates, run, gfns);
        },
      });
    new Uint8Array(left).fill(0);
    await apply(common, left, false);
    new Uint8Array(right).set(new Uint8Array(left));
    await apply(sides[0], left, true);
    await apply(sides[1], right, true);
    yield { run, left: new BigUint64Array(left), right: new BigUint64Array(right), candidates };
    onProgress?.({ phase: 'comparing', done: run.start + run.count, total: pages, unit: 'pages' });
  }
}

function mark(candidates: DirtyBitmap, run: PageRun, gfns: Uint32Array): void {
  for (const gfn of gfns) {
    if (gfn >= run.start && gfn < run.start + run.count) candidates.set(gfn - run.start);
  }
}

/** Counts differing pages and words by region. */
class Tally {
  readonly #regions: readonly MemoryRegion[];
  readonly #counts: { pages: number; words: number }[];
  readonly #map: DirtyBitmap;

  constructor(regions: readonly MemoryRegion[]) {
    this.#regions = regions;
    this.#counts = regions.map(() => ({ pages: 0, words: 0 }));
    this.#map = new DirtyBitmap(totalPages(regions));
  }

  add({ run, left, right, candidates }: WindowPair): void {
    for (const page of candidates.gfns()) {
      const words = differingWords(left, right, page);
      if (words === 0) continue;
      const gfn = run.start + page;
      this.#map.set(gfn);
      const region = this.#regions.findIndex((each) => gfn < each.firstGfn + each.pages);
      const count = this.#counts[region];
      if (count) {
        count.pages++;
        count.words += words;
      }
    }
  }

  result(): Omit<CheckpointDifference, 'disks'> {
    const regions = this.#regions.map((region, index) => ({
      region: region.name,
      pages: this.#counts[index]?.pages ?? 0,
      words: this.#counts[index]?.words ?? 0,
    }));
    return {
      pages: regions.reduce((sum, { pages }) => sum + pages, 0),
      words: regions.reduce((sum, { words }) => sum + words, 0),
      regions,
      map: this.#map,
    };
  }
}

function differingWords(left: BigUint64Array, right: BigUint64Array, page: number): number {
  let words = 0;
  const end = (page + 1) * WORDS_PER_PAGE;
  for (let word = page * WORDS_PER_PAGE; word < end; word++) if (left[word] !== right[word]) words++;
  return words;
}

function sharedLength(left: readonly PageLink[], right: readonly PageLink[]): number {
  let shared = 0;
  while (shared < left.length && left[shared]?.entry.key === right[shared]?.entry.key) {
    if (left[shared] === undefined) break;
    shared++;
  }
  return shared;
}

function commonRegions(left: readonly OpenLink[], right: readonly OpenLink[]): readonly MemoryRegion[] {
  const [one, other] = [left, right].map((links) => links.at(-1)?.reader.header.machine.regions ?? []);
  const key = (regions: readonly MemoryRegion[] | undefined): string =>
    JSON.stringify(regions?.map(({ name, firstGfn, pages }) => [name, firstGfn, pages]));
  if (!one || key(one) !== key(other)) {
    throw new FitdocError(
      'MACHINE_INCOMPATIBLE',
      'The two checkpoints are of machines whose memory is laid out differently.',
      { hint: 'Compare checkpoints of one machine.' },
    );
  }
  return one;
}
