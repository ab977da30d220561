import { PAGE_SIZE, type MemoryRegion } from '@fitdoc/interface';
import { hashPage, type Checksum } from '../checksum.js';
import { Random } from '../random.js';
import type { Shape } from '../shape.js';
import { KERNEL_PAGES } from '../shape.js';
import type { GuestMemory } from '../guest-memory.js';
import { letters } from './workload.js';

const TEMPLATES = 64;

/**
 * Fills a new machine's memory: firmware, the kernel's pages, and `resident` bytes of code and data. Of main
 * memory, what lies in the working set depends on the seed and not on the size of anything else.
 */
export function boot(memory: GuestMemory, shape: Shape, regions: readonly MemoryRegion[]): void {
  if (shape.workload === 'stencil') bootGrid(memory, shape);
  const random = new Random(new Uint32Array(4));
  random.seed(shape.seed ^ 0x626f);
  const templates = Array.from({ length: TEMPLATES }, (_, index) => template(random, index));
  const resident = Math.max(shape.resident / PAGE_SIZE, KERNEL_PAGES);
  for (let gfn = 0; gfn < resident; gfn++) fillFrom(memory, templates, random, gfn);
  for (const { kind, firstGfn, pages } of regions) {
    if (kind !== 'rom') continue;
    for (let i = 0; i < pages; i++) fillFrom(memory, templates, random, firstGfn + i);
  }
  memory.dirty.clearAll();
}

interface Template {
  readonly halves: Uint32Array;
  readonly sum: Checksum;
}

/** A page like those of real guests: some text, some pointers, some small numbers, much zero. */
function template(random: Random, index: number): Template {
  const halves = new Uint32Array(PAGE_SIZE / 4);
  const kind = index % 4;
  const used = 128 + random.below(384);
  for (let i = 0; i < used; i++) {
    if (kind === 0) halves.set([letters(random), letters(random)], 2 * i);
    else if (kind === 1) halves.set([random.next() & 0xfffff0, 0xffff8880], 2 * i);
    else if (kind === 2) halves.set([random.below(1000), 0], 2 * i);
    else halves.set([random.next(), random.next()], 2 * i);
  }
  const sum = { low: 0, high: 0 };
  hashPage(halves, sum);
  return { halves, sum };
}

function fillFrom(memory: GuestMemory, templates: Template[], random: Random, gfn: number): void {
  const { halves, sum } = templates[random.below(TEMPLATES)] as Template;
  if (!memory.isZero(gfn)) return;
  memory.fill(gfn, halves, sum);
  // No two pages of a guest are quite the same.
  memory.writeWord(gfn, 511, gfn + 1, random.next());
}

/** A smooth field to relax. */
function bootGrid(memory: GuestMemory, shape: Shape): void {
  const rows = shape.working / PAGE_SIZE;
  for (let row = 0; row < rows; row++) {
    memory.update(KERNEL_PAGES + row, (halves) => {
      const line = new Float64Array(halves.buffer, halves.byteOffset, 512);
      for (let i = 0; i < 512; i++) line[i] = ((row * 37 + i * 11) % 1000) / 8;
    });
  }
}
