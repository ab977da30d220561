import fc from 'fast-check';
import { expect, it } from 'vitest';
import { namesOfKey, parseName } from '../src/paths.js';

const first = 'ABCZabcz0189_-';
const segment = fc
  .tuple(
    fc.constantFrom(...first),
    fc.string({ unit: fc.constantFrom(...first, '.'), maxLength: 450, size: 'max' }),
  )
  .map(([head, rest]) => head + rest);
const key = fc
  .array(segment, { minLength: 1, maxLength: 6 })
  .map((segments) => segments.join('/').slice(0, 512).replace(/\/$/, ''));

/** The key that names on the disk stand for. */
function keyOfNames(names: readonly string[]): string | undefined {
  let text = '';
  let within = false;
  for (const [index, name] of names.entries()) {
    const isFile = index === names.length - 1;
    const parsed = parseName(name, isFile, within);
    if (!parsed) return undefined;
    within = parsed.continues;
    text += parsed.text + (isFile || within ? '' : '/');
  }
  return text;
}

it('reads back the key from the names, which are safe and short', () => {
  fc.assert(
    fc.property(key, (text) => {
      const names = namesOfKey(text);
      expect(keyOfNames(names)).toBe(text);
      for (const name of names) {
        expect(name.length).toBeLessThanOrEqual(255);
        expect(name.startsWith('.')).toBe(false);
      }
    }),
  );
});

it('never lets one name stand for a file and for a directory', () => {
  fc.assert(
    fc.property(key, key, (one, other) => {
      const file = namesOfKey(one).join('/');
      const directories = namesOfKey(other).slice(0, -1);
      for (let depth = 1; depth <= directories.length; depth++) {
        expect(directories.slice(0, depth).join('/')).not.toBe(file);
      }
      if (one !== other) expect(namesOfKey(other).join('/')).not.toBe(file);
    }),
  );
  expect(namesOfKey(`${'a'.repeat(200)}..`).at(-1)).toBe('=..');
});
