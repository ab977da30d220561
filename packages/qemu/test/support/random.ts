import { totalPages, type PageExtent, type PageRun, type RandomPages } from '@fitdoc/interface';
import { KeptCheckpoint } from './oracle.js';

export interface RandomOptions {
  /** Milliseconds that a read takes. */
  readonly delayMs?: number;
  /** Throws what a read of a page is to fail with. */
  readonly fail?: (gfn: number) => void;
}

/** A checkpoint that can be read in any order, late or not at all where told. */
export class RandomCheckpoint extends KeptCheckpoint {
  readonly random: RandomPages;

  constructor(kept: KeptCheckpoint, options: RandomOptions = {}) {
    super(kept.info, kept.deviceState, kept.kept);
    const pages = new Map(kept.kept.map(({ gfn, bytes }) => [gfn, bytes]));
    this.random = {
      stored: storedRuns(kept.kept, totalPages(kept.info.regions)),
      recent: () => Promise.resolve([{ start: kept.kept.at(-1)?.gfn ?? 0, count: 1 }]),
      read: async (gfn, count) => {
        if (options.delayMs !== undefined) await new Promise((done) => setTimeout(done, options.delayMs));
        const found: PageExtent[] = [];
        for (let at = gfn; at < gfn + count; at++) {
          options.fail?.(at);
          const bytes = pages.get(at);
          if (bytes) found.push({ gfn: at, bytes });
        }
        return found;
      },
    };
  }
}

/** As an index has them: a few runs with pages in them that are zero. */
function storedRuns(kept: readonly PageExtent[], total: number): PageRun[] {
  const blocks = new Set(kept.map(({ gfn }) => Math.floor(gfn / 64)));
  return [...blocks]
    .sort((a, b) => a - b)
    .map((block) => ({ start: block * 64, count: Math.min(64, total - block * 64) }));
}
