import { BLOCK_SIZE, type CallOptions } from '@fitdoc/interface';
import type { PageLink } from '../read/replay.js';
import { blockLayerBytes } from '../read/units/layers.js';
import { Units, type UnitFile } from '../read/units/rebuild.js';
import type { WorkerPool } from '../workers/pool.js';
import type { DiskLinks } from './disk-links.js';

export interface DiskWriteOptions extends CallOptions {
  readonly pool: WorkerPool;
  /** Bytes that decoded increments of a part of the disk may take. */
  readonly memory: number;
}

/**
 * Writes what of a disk is not zero into `file`, while more is decoded: nothing of it is put together in memory first.
 * Gives the bytes written, or undefined, having written nothing, where the chain's increments take too much memory for
 * that.
 */
export async function writeDisk(
  { disk, spans }: DiskLinks,
  file: UnitFile,
  { pool, memory, signal, onProgress }: DiskWriteOptions,
): Promise<number | undefined> {
  if (spans.some(({ blocks, links }) => blockLayerBytes(links.slice(1)) + blocks / 8 > memory))
    return undefined;
  const progress = (done: number): void =>
    onProgress?.({ phase: `writing disk ${disk.name}`, done, total: disk.sizeBytes, unit: 'bytes' });
  let written = 0;
  for (const { firstBlock, blocks, links } of spans) {
    const first = firstBlock * BLOCK_SIZE;
    const into: UnitFile = {
      write: async (bytes, position) => {
        // The last block of a disk may be shorter.
        const within = bytes.subarray(0, disk.sizeBytes - first - position);
        await file.write(within, first + position);
        written += within.length;
      },
    };
    const units = await Units.open(links as readonly [PageLink, ...PageLink[]], {
      ...{ pool, pages: blocks },
      ...(signal && { signal }),
    });
    for await (const { unit } of units.written({ start: 0, count: blocks }, into))
      progress(Math.min(disk.sizeBytes, first + unit.end * BLOCK_SIZE));
  }
  progress(disk.sizeBytes);
  return written;
}
