import { letters, visit, type Guest } from './workload.js';

const SLOT_WORDS = 16;

/**
 * A store of keys and values of a cache's size: few keys are popular, a value is text of some words behind a
 * header of an age and a pointer.
 */
export function keyValue(guest: Guest): void {
  visit(guest, (pages) => guest.random.skewed(pages), setValues);
}

function setValues({ memory, random, shape, step }: Guest, gfn: number): void {
  for (let left = random.around(shape.words); left > 0;) {
    const slot = random.below(512 / SLOT_WORDS) * SLOT_WORDS;
    const length = Math.min(left, 2 + random.below(SLOT_WORDS - 1));
    memory.writeWord(gfn, slot, step, length);
    if (length > 1) memory.writeWord(gfn, slot + 1, random.next() & 0x0ffffff0, 0x7f3a);
    for (let i = 2; i < length; i++) memory.writeWord(gfn, slot + i, letters(random), letters(random));
    left -= length;
  }
}
