import {
  BLOCK_SIZE,
  KIND_WHOLE,
  KIND_ZERO,
  MAX_BATCH_PAGES,
  MAX_PAGES,
  throwIfAborted,
  type DiskExtents,
} from '@fitdoc/interface';
import type { BlockDigests } from './block-digests.js';

/** Blocks of one span, to be encoded. */
export interface BlockBatch {
  readonly span: number;
  /** Numbers of the blocks within the span, ascending. */
  readonly gfns: Uint32Array;
  /** KIND_WHOLE or KIND_ZERO a block. */
  readonly kinds: Uint8Array;
  /** 4096 bytes a KIND_WHOLE block; shared, so that a worker gets it without a copy. */
  readonly pages: Uint8Array<SharedArrayBuffer>;
}

export interface ChangedOptions {
  readonly digests: BlockDigests;
  readonly blocks: number;
  /** What the extents leave out is zero, and the chain may hold something there. */
  readonly gapsAreZero: boolean;
  /** Aborted when what is noted would count no longer; a read under way may come to its end after that. */
  readonly over?: AbortSignal;
  readonly onRead?: (bytes: number) => void;
}

/** The blocks of a disk that are other than what the chain holds of it, in batches that may be large but span nothing. */
export async function* changedBlocks(
  extents: DiskExtents,
  options: ChangedOptions,
): AsyncGenerator<BlockBatch> {
  const { digests, blocks, gapsAreZero, over, onRead } = options;
  const builder = new BatchBuilder();
  const note = (block: number, bytes: Uint8Array | 'zero'): BlockBatch | undefined => {
    throwIfAborted(over);
    const what = digests.note(block, bytes);
    return what === 'same'
      ? undefined
      : builder.add(block, what === 'zero' || bytes === 'zero' ? undefined : bytes);
  };
  const zeros = function* (start: number, end: number): Generator<BlockBatch> {
    // Only where the chain has something: it may be a disk of terabytes.
    for (const block of digests.nonZero(start, end)) {
      const full = note(block, 'zero');
      if (full) yield full;
    }
  };
  let next = 0;
  for await (const extent of extents) {
    const first = extent.offset / BLOCK_SIZE;
    if (gapsAreZero && first > next) yield* zeros(next, first);
    const length = 'bytes' in extent ? extent.bytes.length : extent.zeroes;
    next = Math.ceil((extent.offset + length) / BLOCK_SIZE);
    onRead?.(length);
    if ('zeroes' in extent) {
      yield* zeros(first, next);
      continue;
    }
    for (let block = first; block < next; block++) {
      const at = (block - first) * BLOCK_SIZE;
      const full = note(block, wholeBlock(extent.bytes.subarray(at, at + BLOCK_SIZE)));
      if (full) yield full;
    }
  }
  if (gapsAreZero && next < blocks) yield* zeros(next, blocks);
  const rest = builder.take();
  if (rest) yield rest;
}

/** The last block of a disk may be shorter. */
function wholeBlock(bytes: Uint8Array): Uint8Array {
  if (bytes.length === BLOCK_SIZE) return bytes;
  const whole = new Uint8Array(BLOCK_SIZE);
  whole.set(bytes);
  return whole;
}

class BatchBuilder {
  #blocks: number[] = [];
  #whole: boolean[] = [];
  #pages = new Uint8Array(new SharedArrayBuffer(MAX_BATCH_PAGES * BLOCK_SIZE));
  #used = 0;

  /** Adds a block, zero where there are no bytes; gives the batch that is full, or of another span. */
  add(block: number, bytes: Uint8Array | undefined): BlockBatch | undefined {
    const first = this.#blocks[0];
    const crosses = first !== undefined && Math.floor(first / MAX_PAGES) !== Math.floor(block / MAX_PAGES);
    const full = crosses || this.#blocks.length === MAX_BATCH_PAGES ? this.take() : undefined;
    this.#blocks.push(block);
    this.#whole.push(bytes !== undefined);
    if (bytes) {
      this.#pages.set(bytes, this.#used);
      this.#used += BLOCK_SIZE;
    }
    return full;
  }

  take(): BlockBatch | undefined {
    const first = this.#blocks[0];
    if (first === undefined) return undefined;
    const span = Math.floor(first / MAX_PAGES);
    const batch = {
      span,
      gfns: Uint32Array.from(this.#blocks, (block) => block - span * MAX_PAGES),
      kinds: Uint8Array.from(this.#whole, (whole) => (whole ? KIND_WHOLE : KIND_ZERO)),
      pages: this.#pages.subarray(0, this.#used),
    };
    [this.#blocks, this.#whole, this.#used] = [[], [], 0];
    // The worker may still read the one before.
    this.#pages = new Uint8Array(new SharedArrayBuffer(MAX_BATCH_PAGES * BLOCK_SIZE));
    return batch;
  }
}
