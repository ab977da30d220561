import type { PageSink } from '@fitdoc/interface';
import type { Captured } from '../session/captured.js';

/** Beyond the pages that are expected: memory is taken in pieces, and a guest may write more than it did. */
const SPARE_PAGES = 512;

/**
 * Has room made in the sink for about so many pages, so that nothing has to be compared or moved while the guest
 * stands. False: there is none, and they have to come while the guest runs.
 */
export async function hasRoom(sink: PageSink, expectedPages: number, totalPages: number): Promise<boolean> {
  if (sink.prepare === undefined) return true;
  return sink.prepare(Math.min(totalPages, Math.ceil(expectedPages * 1.25) + SPARE_PAGES));
}

/** What people should know of a capture that became a full one for want of room. */
export function readWhileRunning(expectedPages: number): string {
  return `There was no memory for the ${expectedPages} pages or so that a pause would have brought: all of the guest's memory was read while it ran.`;
}

/** The capture with a further note, if there is one. */
export function noted(captured: Captured, note: string | undefined): Captured {
  return note === undefined ? captured : { ...captured, notes: [...captured.notes, note] };
}
