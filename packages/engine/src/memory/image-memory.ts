import { ColdFile, type MemoryImage } from '@fitdoc/diff';
import { FitdocError, isFitdocError, PAGE_SIZE, totalPages, type Machine } from '@fitdoc/interface';
import { digestBytes } from '../disks/block-digests.js';
import type { WorkerPool } from '../workers/pool.js';
import type { Holder, MemoryBudget, Share } from './memory-budget.js';
import type { Need } from './shares.js';

/** Bytes of bookkeeping a page of the guest: slots, depths, sums of cold pages, bitmaps. */
const TABLES = 16;
/** Pages that any bounded image has room for, and more for each 2 GiB of the guest. */
const LEAST_PAGES = 4096;
const LEAST_PAGES_PER_SHARD = 512;
const SHARD_BYTES = 2 ** 31;
/** A page that the guest writes is staged and compared; as many again so that those of the next capture have room. */
const PAGES_PER_DIRTY_PAGE = 3;
/** How much of what was dirty lately is still expected after one capture that brought less. */
const FADES = 0.8;

export interface ImageMemoryOptions {
  readonly machine: Machine;
  readonly pool: WorkerPool;
  readonly budget: MemoryBudget;
  /** Where the cold file goes; see `ColdFileOptions`. */
  readonly directory: string | undefined;
  readonly sealed: boolean;
}

/**
 * The memory that one machine's image may take: whole while the budget has room for it, within a share of it otherwise.
 * Also the one who lets checkpoints and the giving back of memory take turns.
 */
export class ImageMemory implements Holder {
  readonly name: string;
  readonly #options: ImageMemoryOptions;
  readonly #pages: number;
  readonly #fixed: number;
  #image: MemoryImage | undefined;
  #bytes = 0;
  #file: ColdFile | undefined;
  #dirty = 0;
  #lost = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #share: Share | undefined;
  #ended = false;

  private constructor(options: ImageMemoryOptions) {
    const { info } = options.machine;
    this.name = `The image of ${info.name}`;
    this.#options = options;
    this.#pages = totalPages(info.regions);
    this.#fixed = diskBytes(options.machine);
  }

  /** Claims a share of the budget. Errors: MEMORY_BUDGET; CAPABILITY_MISSING where it takes what this host cannot do. */
  static async claim(options: ImageMemoryOptions): Promise<ImageMemory> {
    const memory = new ImageMemory(options);
    memory.#share = await options.budget.claim(memory);
    memory.#bytes = memory.#share.bytes;
    return memory;
  }

  need(): Need {
    const shards = Math.ceil((this.#pages * PAGE_SIZE) / SHARD_BYTES);
    const pages = Math.min(this.#pages, LEAST_PAGES + shards * LEAST_PAGES_PER_SHARD);
    const tables = this.#fixed + this.#pages * TABLES;
    const whole = this.#fixed + this.#pages * PAGE_SIZE;
    const least = Math.min(whole, tables + pages * PAGE_SIZE);
    const working = least + PAGES_PER_DIRTY_PAGE * this.#dirty * PAGE_SIZE;
    return { least, working: Math.min(working, whole), whole };
  }

  used(): number {
    return this.#fixed + (this.#image?.committedBytes() ?? 0);
  }

  get idle(): boolean {
    return this.#waiting === 0;
  }

  /** Whether the image has to be kept smaller than its guest. */
  get bounded(): boolean {
    return this.#bytes < this.need().whole;
  }

  /** Pages of the image and staging that there is memory for; without limit where the image may be whole. */
  get pages(): number {
    if (!this.bounded || !this.#file) return Number.MAX_SAFE_INTEGER;
    return Math.floor((this.#bytes - this.#fixed - this.#pages * TABLES) / PAGE_SIZE);
  }

  async resize(bytes: number): Promise<void> {
    this.#bytes = bytes;
    await this.exclusive(async () => {
      if (!this.#image || this.#ended) return;
      this.#bind(this.#image);
      await this.#trim();
    });
  }

  /** From now on this is the machine's image. */
  adopt(image: MemoryImage): void {
    this.#image = image;
    this.#bind(image);
  }

  /** Runs work on the image when nothing else does. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const turn = this.#turn.then(work).finally(() => this.#waiting--);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** After a checkpoint that brought so many dirty pages: gives memory back while nobody waits for it. */
  relax(dirtyPages: number): void {
    this.#dirty = Math.max(dirtyPages, Math.floor(this.#dirty * FADES));
    if (!this.#file) return;
    this.exclusive(() => this.#trim()).then(
      () => this.#options.budget.glance(),
      () => undefined,
    );
  }

  /** Gives memory back now, within `exclusive`. */
  async trim(): Promise<void> {
    if (this.#file) await this.#trim();
  }

  /** What people should know since the last call. */
  takeNotes(): string[] {
    const lost = this.#lost;
    this.#lost = 0;
    if (lost === 0) return [];
    return [
      `The disk in ${this.#file?.directory ?? '?'} did not take ${lost} pages that had no place in memory: each is stored whole when the guest next writes it.`,
    ];
  }

  /** Gives everything back. Waits for what is under way. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#share?.end();
    await this.#turn;
    this.#image = undefined;
    this.#file?.close();
    this.#file = undefined;
  }

  #bind(image: MemoryImage): void {
    if (!this.#file && !this.bounded) return;
    const { directory, sealed, budget } = this.#options;
    try {
      this.#file ??= ColdFile.open({ directory, sealed });
      image.bound(this.pages, this.#file);
    } catch (error) {
      this.#file?.close();
      this.#file = undefined;
      // Nothing but the system's free memory says that the image should be smaller: as large as its guest it may fit yet.
      if (isFitdocError(error) && budget.advisory && directory === undefined) return;
      throw error instanceof FitdocError ? this.#explained(error) : error;
    }
  }

  #explained({ code, message, hint, details, cause }: FitdocError): FitdocError {
    const { whole } = this.need();
    return new FitdocError(
      code,
      `${this.name} needs ${mebibytes(whole)} of memory, has ${mebibytes(this.#bytes)}, and cannot do with less: ${message}`,
      { details, cause, ...(hint !== undefined && { hint }) },
    );
  }

  async #trim(): Promise<void> {
    if (!this.#image) return;
    this.#lost += await this.#image.trim({ run: (task) => this.#options.pool.diff(task) });
  }
}

/** Bytes that what is known of the machine's disks takes. */
function diskBytes({ info, supports }: Machine): number {
  if (supports.disks !== true) return 0;
  const brought = info.disks.filter(({ writable, leftOut }) => writable && leftOut !== true);
  return brought.reduce((sum, { sizeBytes = 0 }) => sum + digestBytes(sizeBytes), 0);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
