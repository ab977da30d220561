import type { Gfn } from '@fitdoc/interface';
import { storageOf, type DirtyBitmap } from './dirty-bitmap.js';
import { pagesOfStorage, runsOfStorage, type ScanResult } from './scan-storage.js';

/**
 * Writes the runs of dirty pages from page `from` (default 0) on to `out` as pairs of start and count, until
 * `out` is full or the bitmap ends; each run is as long as it can be, except that the first starts at `from`.
 * Entries of `out` behind the last pair stay as they were. Allocates nothing.
 *
 * Requires 0 <= from <= pages and room for a pair in `out`, else ARGUMENT_INVALID.
 */
export function scanRuns(bitmap: DirtyBitmap, out: Uint32Array, from: Gfn = 0): ScanResult {
  return runsOfStorage(storageOf(bitmap), out, from);
}

/** Like `scanRuns`, but writes the number of each dirty page. */
export function scanPages(bitmap: DirtyBitmap, out: Uint32Array, from: Gfn = 0): ScanResult {
  return pagesOfStorage(storageOf(bitmap), out, from);
}
