import { letters, type Guest } from './workload.js';

/**
 * A compiler in a build: a heap that grows through the working set, new pages filled with small objects of
 * pointers, numbers and names; at the end of a translation unit its pages are given back and read as zero.
 */
export function compiler(guest: Guest): void {
  const { heap, memory, random, registers, shape } = guest;
  for (let left = shape.rate; left > 0;) {
    const run = Math.min(left, random.around(shape.cluster));
    const freeing = random.chance(0.25);
    for (let i = 0; i < run; i++) {
      const cursor = registers[freeing ? 1 : 0] ?? 0;
      const gfn = heap.start + (cursor % heap.pages);
      registers[freeing ? 1 : 0] = (cursor + 1) % heap.pages;
      if (random.chance(shape.rewrites)) memory.touch(gfn);
      else if (freeing) memory.update(gfn, (halves) => halves.fill(0));
      else memory.update(gfn, (halves) => fillWithObjects(guest, halves));
    }
    left -= run;
  }
}

function fillWithObjects({ random, shape, step }: Guest, halves: Uint32Array): void {
  const start = random.below(512);
  let pointer = (random.next() & 0x03ffff00) >>> 0;
  for (let i = 0; i < Math.min(512, 2 * shape.words); i += 4) {
    const at = 2 * ((start + i) % 509);
    pointer += 48;
    halves.set([pointer, 0x55d0], at);
    halves.set([random.below(64), step], at + 2);
    if (random.chance(0.4)) halves.set([letters(random), letters(random)], at + 4);
  }
}
