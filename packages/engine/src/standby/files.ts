import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import {
  PAGE_SIZE,
  totalPages,
  type CallOptions,
  type MachineInfo,
  type MemoryRegion,
  type PageExtent,
} from '@fitdoc/interface';
import { fail, writeAt } from '../export/partial-file.js';
import { mainRegionOf } from '../export/raw.js';
import type { CheckpointSource } from '../read/checkpoint-source.js';
import { nameObject } from '../read/name-object.js';
import type { OpenLink } from '../read/replay.js';
import type { UnitFile } from '../read/units/rebuild.js';
import { mapOrdered } from '../workers/ordered.js';
import type { WorkerPool } from '../workers/pool.js';
import type { PatchFile } from '../workers/tasks.js';

/** Encoded bytes of an increment that are read before the first of its pages is written. */
const STAGED_BYTES = 64 << 20;
const READS_AT_ONCE = 8;
/** Pages that are read of a file at a time. */
const CHUNK_PAGES = 256;

/** The files of a standby that hold memory: that of the main region, which a machine maps, and that of all others. */
export class StandbyFiles {
  private constructor(
    readonly memoryFile: string,
    private readonly memory: FileHandle,
    private readonly others: FileHandle,
  ) {}

  static async open(directory: string): Promise<StandbyFiles> {
    const memoryFile = path.join(directory, 'memory.ram');
    const memory = await openOrMake(memoryFile);
    try {
      return new StandbyFiles(memoryFile, memory, await openOrMake(path.join(directory, 'regions.ram')));
    } catch (error) {
      await memory.close();
      throw error;
    }
  }

  /** Whether they are as long as a machine's memory: one that somebody removed was made anew, empty. */
  async fit(info: MachineInfo): Promise<boolean> {
    const [memory, others] = await Promise.all([this.memory.stat(), this.others.stat()]);
    const pages = [mainRegionOf(info).pages, totalPages(info.regions)];
    return [memory, others].every(({ size }, which) => size === pages[which]! * PAGE_SIZE);
  }

  /** Writes all of a checkpoint's pages in place of what is there. */
  async fill(source: CheckpointSource, options: CallOptions = {}): Promise<number> {
    const { info } = source;
    const main = mainRegionOf(info);
    try {
      // What the checkpoint has as zeros becomes a hole.
      await this.memory.truncate(0);
      await this.memory.truncate(main.pages * PAGE_SIZE);
      await this.others.truncate(0);
      await this.others.truncate(totalPages(info.regions) * PAGE_SIZE);
      const written = await source.writeRegion(main, writtenTo(this.memory), options);
      let pages = written ?? 0;
      const left = info.regions.filter((region) => written === undefined || region !== main);
      const { signal } = options;
      for await (const extent of source.pages({
        ...(signal && { signal }),
        regions: left.map(({ name }) => name),
      })) {
        await this.#write(extent, main);
        pages += extent.bytes.length / PAGE_SIZE;
      }
      return pages;
    } catch (error) {
      return fail(this.memoryFile)(error);
    }
  }

  /**
   * Writes an increment's pages over those of the state that it lies on; twice is as good as once. Most are read, and
   * held against their checksums, before `begin` is called, after which the first is written. Gives the pages.
   */
  async patch(
    { entry, reader }: OpenLink,
    pool: WorkerPool,
    begin: () => Promise<void>,
    { signal }: CallOptions = {},
  ): Promise<number> {
    const files = this.#places(reader.header.machine);
    const read = (batch: number): Promise<Uint8Array> =>
      reader.readEncodedBatch(batch, signal ? { signal } : {}).catch(nameObject([entry]));
    const staged = stagedBatches(reader.batches);
    const first: Uint8Array[] = [];
    for await (const encoded of mapOrdered(range(0, staged), READS_AT_ONCE, read)) first.push(encoded);
    await begin();
    const write = async (encoded: Uint8Array): Promise<void> => {
      const { errno } = await pool
        .patch({ kind: 'patch', encoded, files }, signal)
        .catch(nameObject([entry]));
      if (errno !== undefined)
        fail(this.memoryFile)(Object.assign(new Error(`A write failed (${errno}).`), { code: errno }));
    };
    const width = pool.workers * 2;
    for await (const _ of mapOrdered(first, width, write));
    const later = async (batch: number): Promise<void> => write(await read(batch));
    for await (const _ of mapOrdered(range(staged, reader.batches.length), width, later));
    return reader.summary.pages;
  }

  /** The pages of a machine's regions that are not zero, ascending; an extent's bytes are its reader's own. */
  async *pages(info: MachineInfo, regions: readonly MemoryRegion[]): AsyncGenerator<PageExtent> {
    const main = mainRegionOf(info);
    for (const region of regions) {
      const isMain = region.name === main.name;
      const origin = isMain ? main.firstGfn : 0;
      const end = region.firstGfn + region.pages;
      for (let gfn = region.firstGfn; gfn < end; gfn += CHUNK_PAGES) {
        const count = Math.min(CHUNK_PAGES, end - gfn);
        const bytes = new Uint8Array(count * PAGE_SIZE);
        await readAt(isMain ? this.memory : this.others, bytes, (gfn - origin) * PAGE_SIZE);
        yield* nonZero(gfn, bytes);
      }
    }
  }

  /** Has all that was written on the disk. */
  async sync(): Promise<void> {
    await this.memory.sync();
    await this.others.sync();
  }

  async close(): Promise<void> {
    await this.memory.close();
    await this.others.close();
  }

  #places(info: MachineInfo): PatchFile[] {
    const main = mainRegionOf(info);
    return info.regions.map((region) => {
      const pages = { firstGfn: region.firstGfn, endGfn: region.firstGfn + region.pages };
      if (region !== main) return { fd: this.others.fd, originGfn: 0, ...pages };
      return { fd: this.memory.fd, originGfn: main.firstGfn, ...pages };
    });
  }

  #write({ gfn, bytes }: PageExtent, main: MemoryRegion): Promise<void> {
    const isMain = gfn >= main.firstGfn && gfn < main.firstGfn + main.pages;
    if (isMain) return writeAt(this.memory, bytes, (gfn - main.firstGfn) * PAGE_SIZE);
    return writeAt(this.others, bytes, gfn * PAGE_SIZE);
  }
}

/** All of a guest's secrets are in it. */
function openOrMake(file: string): Promise<FileHandle> {
  return open(file, constants.O_RDWR | constants.O_CREAT, 0o600).catch(fail(file));
}

/** By the page cache: a machine that is started from the file finds it there. */
function writtenTo(handle: FileHandle): UnitFile {
  return { write: (bytes, position) => writeAt(handle, bytes, position) };
}

function stagedBatches(batches: readonly { readonly length: number }[]): number {
  let bytes = 0;
  const end = batches.findIndex(({ length }) => (bytes += length) > STAGED_BYTES);
  return end < 0 ? batches.length : Math.max(end, 1);
}

function* range(from: number, to: number): Generator<number> {
  for (let number = from; number < to; number++) yield number;
}

async function readAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new RangeError('A file of memory is shorter than the machine says.');
    done += bytesRead;
  }
}

function* nonZero(gfn: number, bytes: Uint8Array): Generator<PageExtent> {
  const words = new BigUint64Array(bytes.buffer);
  const perPage = PAGE_SIZE / 8;
  let start: number | undefined;
  const pages = bytes.length / PAGE_SIZE;
  for (let page = 0; page <= pages; page++) {
    const zero =
      page === pages || words.subarray(page * perPage, (page + 1) * perPage).every((word) => word === 0n);
    if (!zero) start ??= page;
    else if (start !== undefined) {
      yield { gfn: gfn + start, bytes: bytes.subarray(start * PAGE_SIZE, page * PAGE_SIZE) };
      start = undefined;
    }
  }
}
