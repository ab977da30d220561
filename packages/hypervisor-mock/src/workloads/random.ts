import { visit, type Guest } from './workload.js';

/** Noise in random words of random pages: the worst that a checkpointer can meet. */
export function noise(guest: Guest): void {
  visit(
    guest,
    (pages) => guest.random.below(pages),
    ({ memory, random, shape }, gfn) => {
      const count = Math.min(512, random.around(shape.words));
      for (let i = 0; i < count; i++) memory.writeWord(gfn, random.below(512), random.next(), random.next());
    },
  );
}
