import { BLOCK_SIZE, throwIfAborted, type DiskExtents } from '@fitdoc/interface';
import { BlockBatchBuilder, type BlockBatch } from './block-batch.js';
import type { BlockDigests } from './block-digests.js';

export interface ChangedOptions {
  readonly digests: BlockDigests;
  readonly blocks: number;
  /** The chain holds nothing of the disk yet. */
  readonly standsOnZeros: boolean;
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
  const { digests, blocks, standsOnZeros, gapsAreZero, over, onRead } = options;
  const builder = new BlockBatchBuilder();
  const note = (block: number, bytes: Uint8Array | 'zero'): BlockBatch | undefined => {
    throwIfAborted(over);
    // Most of a whole disk is not written again.
    const change = standsOnZeros ? digests.note(block, bytes) : digests.noteHot(block, bytes);
    if (change === 'same') return undefined;
    if (change === 'zero' || bytes === 'zero') return builder.add(block);
    return builder.add(block, bytes, change === 'bytes' ? undefined : change);
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
