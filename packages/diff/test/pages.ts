import fc from 'fast-check';

export const PAGE = 4096;

/** How a test page comes about from the one before it. */
export type PageEdit =
  | { readonly type: 'same' }
  | { readonly type: 'zero' }
  | { readonly type: 'random'; readonly seed: number }
  | {
      readonly type: 'runs';
      readonly runs: readonly (readonly [start: number, length: number, value: number])[];
    };

export const pageEdit: fc.Arbitrary<PageEdit> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ type: 'same' as const }) },
  { weight: 2, arbitrary: fc.constant({ type: 'zero' as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('random' as const), seed: fc.integer() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('runs' as const),
      runs: fc.array(
        fc.tuple(fc.nat(511), fc.oneof(fc.nat(4), fc.nat(40), fc.constant(512)), fc.constantFrom(0, 1, 0xff)),
        { maxLength: 4 },
      ),
    }),
  },
);

/** The page that an edit makes of `page`. */
export function edited(page: Uint8Array, edit: PageEdit): Uint8Array {
  const next = page.slice();
  if (edit.type === 'zero') next.fill(0);
  if (edit.type === 'random') randomFill(next, edit.seed);
  if (edit.type === 'runs') {
    for (const [start, length, value] of edit.runs) {
      // One byte a word, at a place that varies: a word differs even if seven of its bytes are equal.
      for (let word = start; word < Math.min(512, start + length); word++)
        next[word * 8 + (word % 8)] = value;
    }
  }
  return next;
}

/** Fills a buffer from a xorshift generator, the same for the same seed. */
export function randomFill(bytes: Uint8Array, seed: number): void {
  let state = (seed ^ 0x9e37_79b9) >>> 0 || 1;
  for (let i = 0; i < bytes.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
}

/** `count` random bytes, never all zero. */
export function randomBytes(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(count);
  randomFill(bytes, seed);
  return bytes;
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
