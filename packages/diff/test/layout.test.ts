import { PAGE_SIZE } from '@fitdoc/interface';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ALIAS_BYTES, layoutOf, SKEW_PAGES } from '../src/layout.js';

const shapes = fc.tuple(
  fc.oneof(fc.integer({ min: 1, max: 600_000 }), fc.constantFrom(32_768, 65_536, 131_072, 524_288)),
  fc.oneof(fc.integer({ min: 1, max: 65_536 }), fc.constantFrom(4096, 65_536)),
);

test('a page and the slot of its number never lie where they would share the ways of the first cache', () => {
  fc.assert(
    fc.property(shapes, ([pages, slotCount]) => {
      const { image, slots } = layoutOf(pages, slotCount);
      const off = (slots - image) % ALIAS_BYTES;
      expect(Math.min(off, ALIAS_BYTES - off)).toBeGreaterThanOrEqual(SKEW_PAGES * PAGE_SIZE);
    }),
    { numRuns: 2000 },
  );
});

test('the parts of a shard follow one another, image and staging on whole pages', () => {
  fc.assert(
    fc.property(shapes, ([pages, slotCount]) => {
      const layout = layoutOf(pages, slotCount);
      const bitmap = layout.bitmapWords * 4;
      const parts: (readonly [start: number, bytes: number])[] = [
        [layout.touched, bitmap],
        [layout.zero, bitmap],
        [layout.pending, bitmap],
        [layout.placed, bitmap],
        [layout.changed, bitmap],
        [layout.staged, bitmap],
        [layout.slotOf, 4 * pages],
        [layout.masks, 64 * pages],
        [layout.slotPage, 4 * slotCount],
        [layout.blocks, 1],
        [layout.image, pages * PAGE_SIZE],
        [layout.slots, slotCount * PAGE_SIZE],
        [layout.bytes, 0],
      ];
      for (const [index, [start]] of parts.slice(1).entries()) {
        expect(start).toBeGreaterThanOrEqual(parts[index]![0] + parts[index]![1]);
      }
      expect(layout.image % PAGE_SIZE).toBe(0);
      expect(layout.slots % PAGE_SIZE).toBe(0);
    }),
  );
});
