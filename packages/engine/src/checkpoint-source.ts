import {
  FitdocError,
  throwIfAborted,
  totalPages,
  type CallOptions,
  type DeviceState,
  type MachineInfo,
  type PageExtent,
  type RestoreSource,
} from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { readDeviceState } from './device-state.js';
import type { Engine } from './engine.js';
import { extentsOf } from './extents.js';
import { openChain, type OpenLink } from './replay.js';
import { windows } from './windows.js';

export interface ReadOptions extends CallOptions {
  /** Bytes of memory that rebuilding pages may take. Default 1 GiB, whatever the guest's size. */
  readonly memory?: number;
}

/** A checkpoint's whole content, read from its chain as it is asked for: what a restore or an export takes. */
export class CheckpointSource implements RestoreSource {
  readonly entry: CheckpointEntry;
  readonly info: MachineInfo;
  readonly deviceState: readonly DeviceState[];
  readonly #engine: Engine;
  readonly #links: readonly OpenLink[];
  readonly #options: ReadOptions;

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
    return new CheckpointSource(engine, links, await readDeviceState(links), options);
  }

  /**
   * Opens `entry` as `open` does for as long as `work` takes, and keeps everybody from removing any of its
   * chain meanwhile. Errors besides: REPOSITORY_LOCKED.
   */
  static async use<Result>(
    engine: Engine,
    repository: Repository,
    entry: CheckpointEntry,
    options: ReadOptions,
    work: (source: CheckpointSource) => Promise<Result>,
  ): Promise<Result> {
    const { signal } = options;
    // A full disk must not stand between a machine and its restore.
    const lock = { evenIfFull: true, ...(signal && { signal }) };
    const lease = await repository.share(entry.machineId, 'reading', lock);
    try {
      return await work(await CheckpointSource.open(engine, repository, entry, options));
    } finally {
      await lease.release();
    }
  }

  /** Checkpoints that this one stands on, itself included. */
  get chainLength(): number {
    return this.#links.length;
  }

  async *pages(
    options: CallOptions & { readonly regions?: readonly string[] } = {},
  ): AsyncGenerator<PageExtent> {
    const signal = options.signal ?? this.#options.signal;
    const { memory } = this.#options;
    const regions = this.info.regions.filter((region) => options.regions?.includes(region.name) ?? true);
    const pages = totalPages(this.info.regions);
    const reading = windows(this.#links, {
      pool: this.#engine.pool,
      pages,
      ...(memory !== undefined && { memory }),
      ...(signal && { signal }),
    });
    for await (const window of reading) {
      for (const extent of extentsOf(window, regions)) {
        throwIfAborted(signal);
        yield extent;
      }
      const done = window.run.start + window.run.count;
      options.onProgress?.({ phase: 'reading pages', done, total: pages, unit: 'pages' });
    }
  }
}
