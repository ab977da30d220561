import { visit, type Guest } from './workload.js';

/** Nothing but the clock and the kernel's housekeeping: counters in a few pages. */
export function idle(guest: Guest): void {
  visit(
    guest,
    (pages) => guest.random.skewed(Math.min(pages, 256)),
    ({ memory, random, shape, step }, gfn) => {
      const count = random.around(shape.words);
      for (let i = 0; i < count; i++) memory.writeWord(gfn, random.skewed(512), step, 0);
    },
  );
}
