import {
  BLOCK_SIZE,
  throwIfAborted,
  type CallOptions,
  type DiskSource,
  type MemoryRegion,
} from '@fitdoc/interface';
import { extentsOf } from '../read/extents.js';
import type { OpenLink } from '../read/replay.js';
import { windows } from '../read/windows.js';
import type { UnitFile } from '../read/units/rebuild.js';
import type { WorkerCalls, WorkerPool } from '../workers/pool.js';
import { storedDisks, wholeDisk, type DiskLinks } from './disk-links.js';
import { writeDisk } from './write-disk.js';

/** Bytes of memory that reading a disk may take, where nobody says otherwise. */
const READ_MEMORY = 256 * 2 ** 20;

export interface DiskReadOptions extends CallOptions {
  readonly pool: WorkerCalls;
  readonly memory?: number;
}

/** What of a disk is not zero, in ascending order. An extent's bytes are valid until the next is asked for. */
export async function* readDisk(
  { disk, spans }: DiskLinks,
  options: DiskReadOptions,
): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }> {
  const { pool, signal, onProgress, memory = READ_MEMORY } = options;
  const progress = (done: number): void =>
    onProgress?.({ phase: `reading disk ${disk.name}`, done, total: disk.sizeBytes, unit: 'bytes' });
  for (const { firstBlock, blocks, links } of spans) {
    const whole: MemoryRegion = { name: disk.name, firstGfn: 0, pages: blocks, kind: 'device' };
    const reading = windows(links, { pool, pages: blocks, memory, ...(signal && { signal }) });
    for await (const window of reading) {
      for (const { gfn, bytes } of extentsOf(window, [whole])) {
        throwIfAborted(signal);
        const offset = (firstBlock + gfn) * BLOCK_SIZE;
        yield { offset, bytes: bytes.subarray(0, disk.sizeBytes - offset) };
      }
      progress(Math.min(disk.sizeBytes, (firstBlock + window.run.start + window.run.count) * BLOCK_SIZE));
    }
  }
  progress(disk.sizeBytes);
}

/** A disk that can be written without that it is handed out; see `writeDisk`. */
export interface SelfWritingDisk extends DiskSource {
  writeTo(file: UnitFile, options?: CallOptions): Promise<number | undefined>;
}

/** The disks of a chain's last checkpoint, to be read, and to be written by all of the pool. */
export function writableDisks(
  links: readonly OpenLink[],
  options: DiskReadOptions & { readonly pool: WorkerPool },
): SelfWritingDisk[] {
  const { memory = READ_MEMORY } = options;
  return diskSources(links, options).map((disk) => ({
    ...disk,
    writeTo: async (file, call = {}) =>
      writeDisk(wholeDisk(links, disk.name), file, { ...options, ...call, memory: memory / 2 }),
  }));
}

/** The disks of a chain's last checkpoint, to be read. */
export function diskSources(links: readonly OpenLink[], options: DiskReadOptions): DiskSource[] {
  return storedDisks(links).map(({ name, sizeBytes }) => ({
    name,
    sizeBytes,
    read: (call: CallOptions = {}) => readDisk(wholeDisk(links, name), { ...options, ...call }),
  }));
}
