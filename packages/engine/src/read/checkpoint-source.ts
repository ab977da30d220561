import {
  FitdocError,
  throwIfAborted,
  totalPages,
  type CallOptions,
  type DeviceState,
  type DiskSource,
  type MachineInfo,
  type MemoryRegion,
  type PageExtent,
  type RandomPages,
  type RestoreSource,
} from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { randomDisk, type RandomDisk } from '../disks/random-disk.js';
import { writableDisks } from '../disks/read-disk.js';
import { readDeviceState } from './device-state.js';
import type { Engine } from '../engine.js';
import { extentsOf } from './extents.js';
import { holdChain } from './held-chain.js';
import { RandomReader } from './random/random-reader.js';
import { openChain, type OpenLink } from './replay.js';
import { verifyLinks } from './verify-links.js';
import { fitsUnits, Units, type UnitFile } from './units/rebuild.js';
import { DEFAULT_READ_MEMORY, windows } from './windows.js';

export interface ReadOptions extends CallOptions {
  /** Bytes of memory that rebuilding pages may take. Default 1 GiB, whatever the guest's size. */
  readonly memory?: number;
}

/** A checkpoint's whole content, read from its chain as it is asked for: what a restore or an export takes. */
export class CheckpointSource implements RestoreSource {
  readonly entry: CheckpointEntry;
  readonly info: MachineInfo;
  readonly deviceState: readonly DeviceState[];
  readonly disks: readonly DiskSource[];
  readonly #engine: Engine;
  readonly #links: readonly OpenLink[];
  readonly #options: ReadOptions;
  #random: RandomReader | undefined;
  readonly #openDisks = new Map<string, RandomDisk>();

  private constructor(
    engine: Engine,
    links: readonly OpenLink[],
    deviceState: readonly DeviceState[],
    options: ReadOptions,
  ) {
    const last = links.at(-1);
    if (!last) throw new FitdocError('CHECKPOINT_NOT_FOUND', 'The chain holds no checkpoint.');
    this.entry = last.entry;
    this.info = last.reader.header.machine;
    this.deviceState = deviceState;
    this.#engine = engine;
    this.#links = links;
    this.#options = options;
    const { signal, memory } = options;
    const limits = { ...(signal && { signal }), ...(memory !== undefined && { memory }) };
    this.disks = writableDisks(links, { pool: engine.pool, ...limits });
  }

  /**
   * Opens `entry` and all that it stands on, and reads its device state. No page is read yet.
   * Errors: CHECKPOINT_NOT_FOUND, FORMAT_*, CODEC_*, STORE_*.
   */
  static async open(
    engine: Engine,
    repository: Repository,
    entry: CheckpointEntry,
    options: ReadOptions = {},
  ): Promise<CheckpointSource> {
    const { links } = await openChain(repository, entry, options);
    return CheckpointSource.#of(engine, links, options);
  }

  static async #of(
    engine: Engine,
    links: readonly OpenLink[],
    options: ReadOptions,
  ): Promise<CheckpointSource> {
    return new CheckpointSource(engine, links, await readDeviceState(links), options);
  }

  /**
   * Opens `entry` as `open` does for as long as `work` takes, and keeps everybody from removing any of what it
   * reads meanwhile; all else may go. Errors besides: REPOSITORY_LOCKED.
   */
  static async use<Result>(
    engine: Engine,
    repository: Repository,
    entry: CheckpointEntry,
    options: ReadOptions,
    work: (source: CheckpointSource) => Promise<Result>,
  ): Promise<Result> {
    const { links, lease } = await holdChain(repository, entry, 'reading', { ...options, awaited: true });
    try {
      return await work(await CheckpointSource.#of(engine, links, options));
    } finally {
      await lease.release();
    }
  }

  /** Its pages in any order; one for all who ask, so that they share what was rebuilt. */
  get random(): RandomPages {
    const [base, ...increments] = this.#links as readonly [OpenLink, ...OpenLink[]];
    return (this.#random ??= new RandomReader([base, ...increments], {
      pool: this.#engine.pool,
      pages: totalPages(this.info.regions),
    }));
  }

  /**
   * A disk, to be read in any order; one for all who ask. Errors: ARGUMENT_INVALID where there is no such disk,
   * FORMAT_DAMAGED where the chain does not show it.
   */
  openDisk(name: string): RandomDisk {
    const open = this.#openDisks.get(name) ?? randomDisk(this.#links, name, this.#engine.pool);
    this.#openDisks.set(name, open);
    return open;
  }

  /** Holds all that its pages are read from against its checksums. Errors: FORMAT_*, naming the object, STORE_*. */
  async verify(options: CallOptions = {}): Promise<void> {
    await verifyLinks(this.#links, options);
  }

  /** Checkpoints that this one stands on, itself included. */
  get chainLength(): number {
    return this.#links.length;
  }

  async *pages(
    options: CallOptions & { readonly regions?: readonly string[] } = {},
  ): AsyncGenerator<PageExtent> {
    const signal = options.signal ?? this.#options.signal;
    const regions = this.info.regions.filter((region) => options.regions?.includes(region.name) ?? true);
    const total = totalPages(this.info.regions);
    const progress = (done: number): void =>
      options.onProgress?.({ phase: 'reading pages', done, total, unit: 'pages' });
    const units = await this.#units(signal);
    const extents = units ? byUnits(units, regions, progress) : this.#byWindows(regions, progress, signal);
    for await (const extent of extents) {
      throwIfAborted(signal);
      yield extent;
    }
  }

  /**
   * Has the workers write a region's pages that are not zero into `file`, page 0 first: nothing of them comes by
   * this thread. Gives their number, or undefined where the chain's increments take too much memory for that.
   */
  async writeRegion(
    region: MemoryRegion,
    file: UnitFile,
    options: CallOptions = {},
  ): Promise<number | undefined> {
    const units = await this.#units(options.signal ?? this.#options.signal);
    if (!units) return undefined;
    const run = { start: region.firstGfn, count: region.pages };
    let written = 0;
    for await (const { unit, pages } of units.written(run, file)) {
      written += pages;
      const done = unit.end - region.firstGfn;
      options.onProgress?.({ phase: 'writing pages', done, total: region.pages, unit: 'pages' });
    }
    return written;
  }

  async #units(signal: AbortSignal | undefined): Promise<Units | undefined> {
    const [base, ...increments] = this.#links;
    // Beside the decoded increments there are the units under way, and what the workers need for themselves.
    const room = (this.#options.memory ?? DEFAULT_READ_MEMORY) / 2;
    if (!base || !fitsUnits(this.#links, room)) return undefined;
    return Units.open([base, ...increments], {
      pool: this.#engine.pool,
      pages: totalPages(this.info.regions),
      ...(signal && { signal }),
    });
  }

  async *#byWindows(
    regions: readonly MemoryRegion[],
    progress: (done: number) => void,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<PageExtent> {
    const { memory } = this.#options;
    const reading = windows(this.#links, {
      pool: this.#engine.pool,
      pages: totalPages(this.info.regions),
      ...(memory !== undefined && { memory }),
      ...(signal && { signal }),
    });
    for await (const window of reading) {
      yield* extentsOf(window, regions);
      progress(window.run.start + window.run.count);
    }
  }
}

async function* byUnits(
  units: Units,
  regions: readonly MemoryRegion[],
  progress: (done: number) => void,
): AsyncGenerator<PageExtent> {
  for (const { firstGfn, pages } of regions) {
    yield* units.extents({ start: firstGfn, count: pages }, ({ end }) => progress(end));
  }
}
