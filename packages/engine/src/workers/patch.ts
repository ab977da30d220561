import { readSync, writeSync } from 'node:fs';
import { applyBatch } from '@fitdoc/diff';
import { KIND_WORDS, MAX_BATCH_PAGES, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import type { PatchFile, PatchResult } from './tasks.js';

/** Consecutive pages of a batch that lie in one file. */
interface Stretch {
  readonly file: PatchFile;
  readonly gfn: number;
  /** Place of the first in the batch. */
  readonly index: number;
  count: number;
  /** Whether any of them has words only: what lies below has to be read. */
  reads: boolean;
}

let own: Uint8Array | undefined;

/** Writes a batch over pages that lie in files. Doing it twice is as good as once. */
export function patch(batch: PageBatch, files: readonly PatchFile[]): PatchResult {
  const pages = (own ??= new Uint8Array(MAX_BATCH_PAGES * PAGE_SIZE));
  const stretches = stretchesOf(batch, files);
  try {
    for (const stretch of stretches) if (stretch.reads) move(stretch, pages, readSync);
    let index = 0;
    applyBatch(batch, () => pages.subarray(index * PAGE_SIZE, ++index * PAGE_SIZE));
    for (const stretch of stretches) move(stretch, pages, writeSync);
    return {};
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    return { errno: code };
  }
}

function stretchesOf({ gfns, kinds }: PageBatch, files: readonly PatchFile[]): Stretch[] {
  const found: Stretch[] = [];
  gfns.forEach((gfn, index) => {
    const reads = kinds[index] === KIND_WORDS;
    const last = found.at(-1);
    if (last && last.gfn + last.count === gfn && gfn < last.file.endGfn) {
      last.count++;
      last.reads ||= reads;
      return;
    }
    const file = files.find(({ firstGfn, endGfn }) => gfn >= firstGfn && gfn < endGfn);
    // The machine has no such page: whoever opened the checkpoint has held its pages against its regions.
    if (!file) throw new RangeError(`No file holds page ${gfn}.`);
    found.push({ file, gfn, index, count: 1, reads });
  });
  return found;
}

type Io = (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => number;

function move({ file, gfn, index, count }: Stretch, pages: Uint8Array, io: Io): void {
  const position = (gfn - file.originGfn) * PAGE_SIZE;
  const start = index * PAGE_SIZE;
  for (let done = 0; done < count * PAGE_SIZE;) {
    const moved = io(file.fd, pages, start + done, count * PAGE_SIZE - done, position + done);
    if (moved === 0)
      throw Object.assign(new Error('The file is too short.'), { code: 'EIO', syscall: 'read' });
    done += moved;
  }
}
