import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseLocation } from '../src/location.js';

test.each([
  ['kvm:/run/x.sock', 'kvm', '/run/x.sock'],
  ['./ckpts', 'fs', './ckpts'],
  ['/var/ckpts', 'fs', '/var/ckpts'],
  ['C:\\ckpts', 'fs', 'C:\\ckpts'],
  ['./odd:name', 'fs', './odd:name'],
  ['fs:odd:name', 'fs', 'odd:name'],
  ['s3:https://host:9000/bucket/a', 's3', 'https://host:9000/bucket/a'],
  ['mock:trace:a b.zst?from=2', 'mock', 'trace:a b.zst?from=2'],
  ['memory:', 'memory', ''],
])('%s', (text, scheme, rest) => {
  expect(parseLocation(text)).toEqual({ scheme, rest });
});

test('no location is empty', () => {
  expect(() => parseLocation('')).toThrow(expect.objectContaining({ code: 'LOCATION_INVALID' }) as Error);
});

test('every other text is read, and nothing of it is lost', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (text) => {
      const { scheme, rest } = parseLocation(text);
      return rest === text || `${scheme}:${rest}` === text;
    }),
  );
});
