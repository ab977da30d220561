import { BLOCK_SIZE, type CallOptions } from '@fitdoc/interface';
import type { OpenLink } from '../read/replay.js';
import type { WorkerCalls } from '../workers/pool.js';
import { BlockDigests } from './block-digests.js';
import type { KnownDisk, KnownDisks } from './disk-harvest.js';
import { storedDisks } from './disk-links.js';
import { diskSources } from './read-disk.js';

/** Bytes of memory for a part of a disk that is rebuilt. */
const MEMORY = 64 * 2 ** 20;

/**
 * Reads what a chain's last checkpoint holds of its disks, so that the first capture after an attach, which may bring
 * them in full, is stored as the blocks that differ.
 */
export async function loadKnownDisks(
  links: readonly OpenLink[],
  pool: WorkerCalls,
  options: CallOptions,
): Promise<KnownDisks> {
  const known = new Map<string, KnownDisk>();
  const moments = new Map(storedDisks(links).map(({ name, moment }) => [name, moment]));
  for (const disk of diskSources(links, { ...options, pool, memory: MEMORY })) {
    const digests = new BlockDigests(disk.sizeBytes);
    for await (const { offset, bytes } of disk.read()) {
      for (let at = 0; at < bytes.length; at += BLOCK_SIZE) {
        const block = new Uint8Array(BLOCK_SIZE);
        block.set(bytes.subarray(at, at + BLOCK_SIZE));
        digests.note((offset + at) / BLOCK_SIZE, block);
      }
    }
    digests.commit();
    known.set(disk.name, { sizeBytes: disk.sizeBytes, digests, moment: moments.get(disk.name) });
  }
  return known;
}
