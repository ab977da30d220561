import { spansOf } from './disk-table.js';
import { damaged } from './failures.js';
import type { IndexEntry } from './index-record.js';
import { RECORD_DISK } from './layout.js';
import type { StoredSummary } from './summary-record.js';
import type { CheckpointHeader } from './types.js';

/** Holds batches of disks against the header's disks, and the summary against both. FORMAT_DAMAGED. */
export function checkDiskTotals(
  { disks }: CheckpointHeader,
  stored: StoredSummary,
  entries: readonly IndexEntry[],
): void {
  const spans = spansOf(disks ?? []);
  const batches = entries.filter(({ type }) => type === RECORD_DISK);
  for (const { space, lastGfn } of batches) {
    const span = spans[space - 1];
    if (!span || lastGfn >= span.blocks) throw damaged('A batch holds blocks of a disk that has none there.');
  }
  const blocks = batches.reduce((sum, { pages }) => sum + pages, 0);
  const bytes = batches.reduce((sum, { length }) => sum + length, 0);
  const agrees =
    stored.disks === disks?.length &&
    (disks === undefined ||
      (stored.diskBatches === batches.length && stored.diskBlocks === blocks && stored.diskBytes === bytes));
  if (!agrees) throw damaged('The summary does not agree with the disks.');
}
