import type { PageRun, RandomPages } from '@fitdoc/interface';

/** Pages that lie so near to each other are rebuilt together, or nearly. */
const BLOCK_PAGES = 1024;
/** Blocks that are read before anybody can take them: fewer than a source keeps. */
const MOST_BLOCKS = 8;
/**
 * Has pages at hand that a guest which runs first will ask for, `first` of it, while its hypervisor still answers
 * questions; the workers start meanwhile. One block at a time: what is done at once takes the processors that the first
 * instruction waits for. What cannot be read tells of itself when it is to be sent.
 */
export function readAhead(pages: RandomPages, first: readonly PageRun[]): { end(): void } {
  const blocks = firstOfBlocks(first);
  const read = async (): Promise<void> => {
    for (let start = blocks.shift(); start !== undefined; start = blocks.shift()) await pages.read(start, 1);
  };
  read().catch(() => undefined);
  return { end: () => void blocks.splice(0) };
}

/** A page of each block in which a run begins, in their order. */
function firstOfBlocks(runs: readonly PageRun[]): number[] {
  const found = new Map<number, number>();
  for (const { start } of runs) {
    const block = Math.floor(start / BLOCK_PAGES);
    if (!found.has(block)) found.set(block, start);
    if (found.size === MOST_BLOCKS) break;
  }
  return [...found.values()];
}
