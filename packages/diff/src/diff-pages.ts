import { PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { invalid } from './arguments.js';
import { WHOLE_ABOVE } from './gather.js';
import { diffPagesPlainly } from './twin-pages.js';

export interface DiffOptions {
  /** Pages with more changed words than this are stored whole. Default 503, where words cost as much. */
  readonly wholeAbove?: number;
}

/**
 * Compares two buffers of the same whole number of pages, 1 to 1024, brings `image` up to date and returns
 * what changed; the pages are numbered from 0. The result shares no memory with the buffers.
 * Errors: ARGUMENT_INVALID.
 */
export function diffPages(next: Uint8Array, image: Uint8Array, options: DiffOptions = {}): PageBatch {
  if (next.length !== image.length || next.length % PAGE_SIZE !== 0) {
    invalid(
      `Both buffers must have the same whole number of pages, not ${next.length} and ${image.length} bytes.`,
    );
  }
  return diffPagesPlainly(next, image, options.wholeAbove ?? WHOLE_ABOVE);
}
