import { DirtyBitmap } from '@fitdoc/bitmap';
import { noRoomForPause } from '@fitdoc/interface';
import { allocatedPages, copyPages, type Copy } from './capture.js';

/** A guest that writes faster than it is copied is not caught up with by more rounds. */
const MOST_ROUNDS = 8;

/**
 * Has room in the sink for all pages that a pause would bring. Where there is none, copies what there is while the guest
 * runs, as hypervisors do, until what it wrote meanwhile has room. Gives whether it did; `taken` then has the
 * pages that left the dirty log. Errors: MEMORY_BUDGET, and the sink's.
 */
export async function copyAhead(copy: Copy, taken: DirtyBitmap, full: boolean): Promise<boolean> {
  const { guest, sink } = copy;
  const { dirty } = guest.memory;
  if (!sink.prepare) return false;
  let expected = full ? allocatedPages(guest) : dirty.count();
  for (let round = 0; ; round++) {
    const room = await sink.prepare(expected);
    // It may have written while the sink made room.
    if (room && (round === 0 && full ? allocatedPages(guest) : dirty.count()) <= expected) return round > 0;
    if (round === MOST_ROUNDS) throw noRoomForPause(expected);
    const wanted = new DirtyBitmap(dirty.pages);
    wanted.load(dirty.bytes);
    taken.or(wanted);
    dirty.clearAll();
    await copyPages(copy, round === 0 && full ? 'all' : wanted);
    expected = dirty.count();
  }
}
