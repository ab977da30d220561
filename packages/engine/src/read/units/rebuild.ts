import {
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type PageExtent,
  type PageRun,
} from '@fitdoc/interface';
import { mapOrdered } from '../../workers/ordered.js';
import type { WorkerPool } from '../../workers/pool.js';
import { UNIT_PAGES } from '../../workers/rebuild.js';
import type { RebuildResult } from '../../workers/tasks.js';
import { nameObject } from '../name-object.js';
import type { OpenLink, PageLink } from '../replay.js';
import { decodeLayers, layerBytes, type Layers } from './layers.js';
import { planUnits, type Unit } from './plan.js';

export interface RebuildOptions extends CallOptions {
  readonly pool: WorkerPool;
  /** Pages of the machine. */
  readonly pages: number;
}

/** A file that units are written to. */
export interface UnitFile {
  /** Writes all of `bytes`, whole pages in memory that begins at a page of the system's. */
  write(bytes: Uint8Array, position: number): Promise<void>;
}

/** Units that are rebuilt or written at a time, beside those that the workers are at: the disk is not to wait for them. */
const AHEAD = 4;

/** Whether all increments of the chain, decoded, take no more than `bytes`. */
export function fitsUnits(links: readonly OpenLink[], bytes: number): boolean {
  return layerBytes(links.slice(1)) <= bytes;
}

/**
 * A chain whose increments were decoded once and lie in memory. What they show is rebuilt unit by unit: a batch
 * of the base is decoded, the increments are laid over it, and what comes out is at once handed on.
 */
export class Units {
  readonly #base: PageLink;
  readonly #layers: Layers;
  readonly #options: RebuildOptions;

  private constructor(base: PageLink, layers: Layers, options: RebuildOptions) {
    this.#base = base;
    this.#layers = layers;
    this.#options = options;
  }

  /** Reads the increments of a chain, base first. Errors: FORMAT_*, CODEC_*, STORE_*. */
  static async open(links: readonly [PageLink, ...PageLink[]], options: RebuildOptions): Promise<Units> {
    const [base, ...increments] = links;
    return new Units(base, await decodeLayers(increments, options.pages, options.pool, options), options);
  }

  /** The pages of `run` that are not zero, ascending. An extent's bytes are valid until the next is asked for. */
  async *extents(run: PageRun, onUnit?: (unit: Unit) => void): AsyncGenerator<PageExtent> {
    const { pool, signal } = this.#options;
    const free: SharedArrayBuffer[] = [];
    const work = (unit: Unit) => this.#rebuild(unit, free.pop() ?? pageAligned(UNIT_PAGES * PAGE_SIZE));
    for await (const { unit, memory, extents } of mapOrdered(this.#units(run), pool.workers + 1, work)) {
      for (const extent of extents) {
        throwIfAborted(signal);
        yield extent;
      }
      free.push(memory);
      onUnit?.(unit);
    }
  }

  /** Writes the pages of `run` that are not zero to where they are from its start; gives for each unit how many those were. */
  async *written(
    run: PageRun,
    file: UnitFile,
  ): AsyncGenerator<{ readonly unit: Unit; readonly pages: number }> {
    const free: SharedArrayBuffer[] = [];
    const work = async (unit: Unit) => {
      const { memory, extents } = await this.#rebuild(
        unit,
        free.pop() ?? pageAligned(UNIT_PAGES * PAGE_SIZE),
      );
      for (const { gfn, bytes } of extents) await file.write(bytes, (gfn - run.start) * PAGE_SIZE);
      free.push(memory);
      return { unit, pages: extents.reduce((sum, { bytes }) => sum + bytes.length / PAGE_SIZE, 0) };
    };
    yield* mapOrdered(this.#units(run), this.#options.pool.workers + AHEAD, work);
  }

  #units(run: PageRun): Generator<Unit> {
    return planUnits(this.#base, this.#layers.gfns, run);
  }

  async #rebuild(unit: Unit, memory: SharedArrayBuffer): Promise<Rebuilt> {
    const { pool, signal } = this.#options;
    const { start, end, batch } = unit;
    const { entry, reader } = this.#base;
    const base =
      batch === undefined ? undefined : await reader.readEncodedBatch(batch).catch(nameObject([entry]));
    const layers = this.#layers.layers
      .filter(({ firstGfn, lastGfn }) => firstGfn < end && lastGfn >= start)
      .map((layer) => layer.memory);
    const result = await pool.rebuild({ kind: 'rebuild', start, end, base, layers, memory }, signal);
    return { unit, memory, extents: extentsOf(result, memory) };
  }
}

interface Rebuilt {
  readonly unit: Unit;
  readonly memory: SharedArrayBuffer;
  /** Views of the memory. */
  readonly extents: readonly PageExtent[];
}

function extentsOf({ runs }: RebuildResult, memory: SharedArrayBuffer): PageExtent[] {
  return Array.from({ length: runs.length / 3 }, (_, index) => {
    const [gfn, count, slot] = [runs[3 * index]!, runs[3 * index + 1]!, runs[3 * index + 2]!];
    return { gfn, bytes: new Uint8Array(memory, slot * PAGE_SIZE, count * PAGE_SIZE) };
  });
}

/** Shared memory that begins at a page of the system's, as direct I/O demands: WebAssembly's does. */
function pageAligned(bytes: number): SharedArrayBuffer {
  const pages = bytes / 65536;
  const { Memory } = (
    globalThis as unknown as { WebAssembly: { Memory: new (size: object) => { buffer: SharedArrayBuffer } } }
  ).WebAssembly;
  return new Memory({ initial: pages, maximum: pages, shared: true }).buffer;
}
