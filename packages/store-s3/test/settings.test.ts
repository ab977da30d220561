import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { parseS3Config } from '../src/config.js';
import { parseS3Location } from '../src/index.js';
import { formatS3Location } from '../src/location.js';
import { cutBytes, cutIntoParts, MOST_PARTS, partBytesAt } from '../src/parts.js';
import { retrying } from '../src/retry.js';
import { FitdocError } from '@fitdoc/interface';
import { areEqual, chunksOf, sampleBytes } from './support/bytes.js';

const waits = vi.hoisted((): number[] => []);
vi.mock('node:timers/promises', () => ({
  setTimeout: async (milliseconds: number) => void waits.push(milliseconds),
}));

it('reads locations', () => {
  expect(parseS3Location('backups')).toEqual({ bucket: 'backups', prefix: '' });
  expect(parseS3Location('backups/vm/a/')).toEqual({ bucket: 'backups', prefix: 'vm/a/' });
  expect(parseS3Location('https://s3.example.org:9000/backups/vm')).toEqual({
    bucket: 'backups',
    prefix: 'vm/',
    endpoint: 'https://s3.example.org:9000',
  });
  for (const location of ['backups', 'backups/vm/a', 'http://[::1]:7480/backups/x'])
    expect(formatS3Location(parseS3Location(location))).toBe(`s3:${location}`);
});

it('refuses what is no location, and quotes no secret', () => {
  const secret = 'AKIASECRET';
  const bad = [
    '',
    'UPPER',
    'a',
    'https://host',
    'https:///bucket',
    'bucket/.hidden',
    'bucket/a b',
    'bucket/../other',
    `bucket/${'x'.repeat(401)}`,
    `https://user:${secret}@host/bucket`,
    `user:${secret}@bucket`,
    `https://host/bucket?X-Amz-Signature=${secret}`,
  ];
  for (const location of bad) {
    const read = (): unknown => parseS3Location(location);
    expect(read, location).toThrow(expect.objectContaining({ code: 'LOCATION_INVALID' }));
    expect(read).not.toThrow(secret);
  }
});

it('checks every setting, and names none of their values', () => {
  expect(parseS3Config({ attempts: 2, region: undefined })).toMatchObject({
    attempts: 2,
    partBytes: 8388608,
  });
  const bad: Record<string, unknown>[] = [
    { secretAccessKey: 'hunter2' },
    { toString: 1 },
    { region: '' },
    { timeoutMs: 0 },
    { timeoutMs: '60' },
    { attempts: 1.5 },
    { partBytes: 5 * 2 ** 20 - 1 },
    { parallelParts: 65 },
    { conditionalPut: 'maybe' },
    { credentialsFile: 7 },
  ];
  for (const config of bad) {
    const parse = (): unknown => parseS3Config(config);
    expect(parse, JSON.stringify(config)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(parse).toThrow(Object.keys(config)[0]);
    expect(parse).not.toThrow('hunter2');
  }
});

it('cuts any chunks into full parts and a last one', async () => {
  const anything = fc.record({
    length: fc.integer({ min: 0, max: 500 }),
    chunk: fc.integer({ min: 1, max: 200 }),
    part: fc.integer({ min: 1, max: 120 }),
    hold: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(anything, async ({ length, chunk, part, hold }) => {
      const bytes = sampleBytes(length, 3);
      for (const parts of [cutIntoParts(chunksOf(bytes, chunk), part), cutBytes(bytes, part)]) {
        const seen: Uint8Array[] = [];
        const held: (() => void)[] = [];
        let last = false;
        for await (const each of parts) {
          expect(last, 'nothing follows the last part').toBe(false);
          last = each.isLast;
          if (!last) expect(each.bytes.length).toBe(part);
          seen.push(each.bytes.slice());
          // Buffers go round: what was let go may be overwritten, what is held may not.
          const kept = each.bytes;
          const copy = kept.slice();
          held.push(() => {
            expect(areEqual(kept, copy)).toBe(true);
            each.release();
          });
          while (held.length > hold) held.shift()?.();
        }
        expect(last).toBe(true);
        expect(seen.length).toBe(Math.max(1, Math.ceil(length / part)));
        expect(areEqual(Buffer.concat(seen), bytes)).toBe(true);
      }
    }),
  );
});

it('has parts enough for objects of hundreds of gigabytes', () => {
  let total = 0;
  for (let i = 0; i < MOST_PARTS; i++) total += partBytesAt(i, 8 * 2 ** 20);
  expect(total).toBeGreaterThan(300e9);
});

it('waits between tries for random times below a bound that doubles, and stops at the last', async () => {
  const retryable = new FitdocError('STORE_UNAVAILABLE', 'busy', { retryable: true });
  const { signal } = new AbortController();
  let tries = 0;
  await expect(
    retrying({ attempts: 4, signal }, async () => {
      tries++;
      throw retryable;
    }),
  ).rejects.toBe(retryable);
  expect(tries).toBe(4);
  expect(waits).toHaveLength(3);
  waits.forEach((wait, index) => expect(wait).toBeLessThan(100 * 2 ** index));
  expect(new Set(waits).size, 'the waits are random').toBe(3);
  const final = new FitdocError('STORE_DENIED', 'no');
  await expect(
    retrying({ attempts: 4, signal }, async () => {
      tries++;
      throw final;
    }),
  ).rejects.toBe(final);
  expect(tries, 'no second try of what cannot succeed').toBe(5);
});
