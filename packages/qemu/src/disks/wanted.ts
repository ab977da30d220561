import { BLOCK_SIZE } from '@fitdoc/interface';
import { ALLOCATION, type NbdClient, type StatusExtent } from '@fitdoc/nbd';

/** Flag of a dirty bitmap's context. */
const DIRTY = 1;
/** Bytes for which two exports are asked by turns. */
const TURN_BYTES = 2 ** 30;

export interface Run {
  readonly offset: number;
  readonly length: number;
}

/** What is not zero. */
export async function* dataOf(client: NbdClient, from?: number, to?: number): AsyncGenerator<Run> {
  for await (const extent of client.status(from, to)) if (isData(extent)) yield extent;
}

/** What a dirty bitmap has. */
export async function* dirtyOf(client: NbdClient): AsyncGenerator<Run> {
  for await (const extent of client.status()) if ((extent.flags & DIRTY) !== 0) yield extent;
}

/**
 * What may not be zero in a snapshot that a QEMU tears: what it says of the snapshot, which for what the filter has
 * copied may be true of the disk only, and what is in the copies.
 */
export async function* dataOfTorn(snapshot: NbdClient, copies: NbdClient): AsyncGenerator<Run> {
  for (let at = 0; at < snapshot.size; at += TURN_BYTES) {
    const to = Math.min(at + TURN_BYTES, snapshot.size);
    const runs: Run[] = [];
    for await (const run of dataOf(snapshot, at, to)) runs.push(run);
    // Not before: the guest zeroes nothing whose copy is not there yet.
    for await (const run of dataOf(copies, at, to)) runs.push(run);
    yield* runs.sort((one, other) => one.offset - other.offset);
  }
}

/** Runs in the order of their beginnings, widened to whole blocks of a disk of `size` bytes, neighbours joined. */
export async function* wholeBlocks(runs: AsyncIterable<Run>, size: number): AsyncGenerator<Run> {
  let start = 0;
  let end = 0;
  for await (const run of runs) {
    const from = Math.floor(run.offset / BLOCK_SIZE) * BLOCK_SIZE;
    const to = Math.min(size, Math.ceil((run.offset + run.length) / BLOCK_SIZE) * BLOCK_SIZE);
    if (from > end && end > start) yield { offset: start, length: end - start };
    if (from > end || end === 0) start = from;
    end = Math.max(end, to);
  }
  if (end > start) yield { offset: start, length: end - start };
}

function isData({ flags }: StatusExtent): boolean {
  return (flags & ALLOCATION.zero) === 0;
}
