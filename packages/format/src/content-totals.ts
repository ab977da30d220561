import { KIND_ZERO, PAGE_SIZE, WORD_SIZE, type PageBatch } from '@fitdoc/interface';
import type { CheckpointSummary } from './types.js';

const NAMES = ['pages', 'changedWords', 'wholePages', 'zeroPages'] as const;

/** Counts what batches really hold, to hold the summary against it. */
export class ContentTotals {
  readonly counts = { pages: 0, changedWords: 0, wholePages: 0, zeroPages: 0 };

  add({ kinds, words, pages }: PageBatch): void {
    this.counts.pages += kinds.length;
    this.counts.changedWords += words.length / WORD_SIZE;
    this.counts.wholePages += pages.length / PAGE_SIZE;
    this.counts.zeroPages += kinds.filter((kind) => kind === KIND_ZERO).length;
  }

  /** A sentence for each total that differs. */
  compare(summary: CheckpointSummary): string[] {
    return NAMES.filter((name) => summary[name] !== this.counts[name]).map(
      (name) => `The summary says ${name} ${summary[name]}; the batches hold ${this.counts[name]}.`,
    );
  }
}
