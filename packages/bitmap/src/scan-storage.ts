import { FitdocError, type Gfn } from '@fitdoc/interface';
import { STAGE_ENTRIES, type Storage } from './storage.js';

/** What a scan found. Its object is the bitmap's own, and is changed by that bitmap's next scan. */
export interface ScanResult {
  /** Runs, or pages, written to the caller's buffer. */
  readonly written: number;
  /** The page to go on from; the bitmap's number of pages when the scan is done. */
  readonly next: Gfn;
}

/** See `scanRuns`. */
export function runsOfStorage(storage: Storage, out: Uint32Array, from: Gfn): ScanResult {
  const room = out.length >>> 1;
  prepare(storage, room, from);
  const { result } = storage;
  let next = from;
  let written = 0;
  while (next < storage.pages && written < room) {
    const limit = Math.min(room - written, STAGE_ENTRIES / 2);
    const found = storage.kernel.scanRuns(next, storage.pages, limit);
    storage.copyStage(out, 2 * written, 2 * found);
    written += found;
    next = storage.next;
  }
  result.written = written;
  result.next = next;
  return result;
}

/** See `scanPages`. */
export function pagesOfStorage(storage: Storage, out: Uint32Array, from: Gfn): ScanResult {
  const room = out.length;
  prepare(storage, room, from);
  const { result } = storage;
  let next = from;
  let written = 0;
  while (next < storage.pages && written < room) {
    const limit = Math.min(room - written, STAGE_ENTRIES);
    const found = storage.kernel.scanPages(next, storage.pages, limit);
    storage.copyStage(out, written, found);
    written += found;
    next = storage.next;
  }
  result.written = written;
  result.next = next;
  return result;
}

function prepare(storage: Storage, room: number, from: Gfn): void {
  if (room < 1) {
    throw new FitdocError('ARGUMENT_INVALID', 'The buffer has no room for a single result.', {
      hint: 'Hand in a buffer of some thousand entries, and use it again for every scan.',
    });
  }
  if (!Number.isInteger(from) || from < 0 || from > storage.pages) {
    throw new FitdocError('ARGUMENT_INVALID', `A scan of ${storage.pages} pages cannot start at ${from}.`, {
      hint: 'Start at 0, then go on from the `next` of the scan before.',
    });
  }
  storage.clearTail();
}
