import {
  BLOCK_SIZE,
  KIND_WHOLE,
  KIND_WORDS,
  KIND_ZERO,
  MASK_SIZE,
  MAX_BATCH_PAGES,
  MAX_PAGES,
  WORD_SIZE,
  type PageBatch,
} from '@fitdoc/interface';
import { SECTOR_SIZE } from './hot-blocks.js';

/**
 * Blocks of one span, to be encoded; gfns are their numbers within the span. What is large is shared, so that a worker
 * gets it without a copy.
 */
export interface BlockBatch extends PageBatch {
  readonly span: number;
  readonly words: Uint8Array<SharedArrayBuffer>;
  readonly pages: Uint8Array<SharedArrayBuffer>;
}

/** Sectors that changed up to which a block is stored as its words: a mask and single words pack less well. */
const MOST_SECTORS = 6;
/** Bytes of a mask that speak of a sector. */
const MASK_BYTES = SECTOR_SIZE / WORD_SIZE / 8;

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

/** Puts blocks together to batches, which may be large but span nothing. */
export class BlockBatchBuilder {
  #blocks: number[] = [];
  #kinds: number[] = [];
  readonly #masks = new Column(MAX_BATCH_PAGES * MASK_SIZE, (bytes) => new ArrayBuffer(bytes));
  readonly #words = new Column(MAX_BATCH_PAGES * MOST_SECTORS * SECTOR_SIZE, shared);
  readonly #pages = new Column(MAX_BATCH_PAGES * BLOCK_SIZE, shared);

  /**
   * Adds a block (4096 bytes), zero where there are no bytes; gives the batch that is full, or of another span.
   * `sectors`: a bit for each that changed, from the lowest on, where the others are known to be in the chain.
   */
  add(block: number, bytes?: Uint8Array, sectors?: number): BlockBatch | undefined {
    const first = this.#blocks[0];
    const crosses = first !== undefined && Math.floor(first / MAX_PAGES) !== Math.floor(block / MAX_PAGES);
    const full = crosses || this.#blocks.length === MAX_BATCH_PAGES ? this.take() : undefined;
    const changed = sectors === undefined ? [] : sectorsOf(sectors);
    this.#blocks.push(block);
    if (bytes === undefined) this.#kinds.push(KIND_ZERO);
    else if (changed.length === 0 || changed.length > MOST_SECTORS) {
      this.#kinds.push(KIND_WHOLE);
      this.#pages.push(bytes);
    } else this.#addWords(bytes, changed);
    return full;
  }

  take(): BlockBatch | undefined {
    const first = this.#blocks[0];
    if (first === undefined) return undefined;
    const span = Math.floor(first / MAX_PAGES);
    const batch = {
      span,
      gfns: Uint32Array.from(this.#blocks, (block) => block - span * MAX_PAGES),
      kinds: Uint8Array.from(this.#kinds),
      masks: this.#masks.take(),
      words: this.#words.take(),
      pages: this.#pages.take(),
    };
    [this.#blocks, this.#kinds] = [[], []];
    return batch;
  }

  #addWords(bytes: Uint8Array, sectors: readonly number[]): void {
    const mask = new Uint8Array(MASK_SIZE);
    for (const sector of sectors) {
      mask.fill(0xff, sector * MASK_BYTES, (sector + 1) * MASK_BYTES);
      this.#words.push(bytes.subarray(sector * SECTOR_SIZE, (sector + 1) * SECTOR_SIZE));
    }
    this.#kinds.push(KIND_WORDS);
    this.#masks.push(mask);
  }
}

function sectorsOf(bits: number): number[] {
  const sectors: number[] = [];
  for (let sector = 0; sector < BLOCK_SIZE / SECTOR_SIZE; sector++)
    if ((bits & (1 << sector)) !== 0) sectors.push(sector);
  return sectors;
}

/** Bytes that grow, up to `most`. */
class Column<Buffer extends ArrayBufferLike> {
  #bytes: Uint8Array<Buffer> | undefined;
  #used = 0;

  constructor(
    private readonly most: number,
    private readonly make: (bytes: number) => Buffer,
  ) {}

  push(bytes: Uint8Array): void {
    (this.#bytes ??= new Uint8Array(this.make(this.most))).set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** What was pushed since the last time. Whoever has it may still read it when more comes. */
  take(): Uint8Array<Buffer> {
    const bytes = (this.#bytes ?? new Uint8Array(this.make(0))).subarray(0, this.#used);
    [this.#bytes, this.#used] = [undefined, 0];
    return bytes;
  }
}
