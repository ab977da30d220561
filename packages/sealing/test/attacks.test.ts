import { MemoryStore } from '@fitdoc/store-memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyRing, SealedStore } from '../src/index.js';
import { codeOf, rewrite, sample } from './support/data.js';

const CHUNK = 65_536;
const SEALED = CHUNK + 16;
const ring = KeyRing.create();
const scopeOf = (key: string): string => (key.startsWith('machines/') ? '' : 'repository one');

async function place(length: number, key = 'k') {
  const beneath = new MemoryStore();
  await new SealedStore(beneath, { ring, scopeOf }).put(key, sample(length));
  return { beneath, reader: () => new SealedStore(beneath, { ring, scopeOf }) };
}

describe('who can write the store, and has no key,', () => {
  it('changes no byte unseen', async () => {
    const sizes = fc.constantFrom(0, 1, 1000, CHUNK, CHUNK + 1);
    const all = fc.asyncProperty(
      sizes,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (length, where, mask) => {
        const { beneath, reader } = await place(length);
        let at = 0;
        await rewrite(beneath, 'k', (bytes) => {
          at = where % bytes.length;
          bytes[at]! ^= mask;
          return bytes;
        });
        // Which key an object is sealed with is written in it: another one may be meant.
        expect(await codeOf(reader().get('k'))).toMatch(at >= 12 && at < 20 ? /^KEY_WRONG$/ : /^FORMAT_/);
        expect(await codeOf(reader().get('k', { offset: 0, length: 1e9 }))).toMatch(/^(FORMAT_|KEY_WRONG)/);
      },
    );
    await fc.assert(all, { numRuns: 150 });
  });

  it('cuts nothing off unseen, by whole chunks or in the middle', async () => {
    const length = 3 * CHUNK;
    const full = 48 + 3 * SEALED;
    const cuts = fc.oneof(
      fc.integer({ min: 0, max: full - 1 }),
      fc.constantFrom(0, 48, 48 + SEALED, 48 + 2 * SEALED),
    );
    await fc.assert(
      fc.asyncProperty(cuts, async (left) => {
        const { beneath, reader } = await place(length);
        await rewrite(beneath, 'k', (bytes) => bytes.subarray(0, left));
        expect(await codeOf(reader().get('k'))).toMatch(/^FORMAT_(DAMAGED|TRUNCATED)$/);
        // Of a range, too few bytes come, or none.
        for (const [offset, many] of [
          [0, length],
          [CHUNK, 2 * CHUNK],
          [2 * CHUNK + 5, 10],
        ] as const) {
          const got = await reader()
            .get('k', { offset, length: many })
            .catch((error: { code: string }) => error.code);
          if (typeof got === 'string') expect(got).toMatch(/^FORMAT_(DAMAGED|TRUNCATED)$/);
          else expect(Math.floor((left - 48) / SEALED)).toBeLessThanOrEqual(Math.floor(offset / CHUNK));
          if (typeof got !== 'string' && left <= 48 + Math.floor(offset / CHUNK) * SEALED)
            expect(got.length).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('exchanges, doubles, leaves out and appends no chunk unseen', async () => {
    const chunk = (bytes: Buffer, number: number) =>
      bytes.subarray(48 + number * SEALED, 48 + (number + 1) * SEALED);
    const ways: Record<string, (bytes: Buffer) => Uint8Array> = {
      exchanged: (b) => Buffer.concat([b.subarray(0, 48), chunk(b, 1), chunk(b, 0), chunk(b, 2)]),
      doubled: (b) => Buffer.concat([b.subarray(0, 48), chunk(b, 0), chunk(b, 0), chunk(b, 1), chunk(b, 2)]),
      'left out': (b) => Buffer.concat([b.subarray(0, 48), chunk(b, 0), chunk(b, 2)]),
      appended: (b) => Buffer.concat([b, chunk(b, 1)]),
      'a byte more': (b) => Buffer.concat([b, Buffer.from([0])]),
    };
    for (const [way, change] of Object.entries(ways)) {
      const { beneath, reader } = await place(3 * CHUNK);
      await rewrite(beneath, 'k', change);
      expect(await codeOf(reader().get('k')), way).toMatch(/^FORMAT_(DAMAGED|TRUNCATED)$/);
    }
  });

  it('exchanges no chunk between objects', async () => {
    const { beneath, reader } = await place(3 * CHUNK);
    await new SealedStore(beneath, { ring, scopeOf }).put('l', sample(3 * CHUNK));
    const other = await beneath.get('l');
    await rewrite(beneath, 'k', (bytes) => {
      bytes.set(other.subarray(48, 48 + SEALED), 48);
      return bytes;
    });
    expect(await codeOf(reader().get('k'))).toBe('FORMAT_DAMAGED');
    expect((await reader().get('k', { offset: CHUNK, length: 5 })).length).toBe(5);
  });

  it('moves no object to another key', async () => {
    const { beneath, reader } = await place(100, 'machines/a/one');
    await beneath.put('machines/a/two', await beneath.get('machines/a/one'));
    expect(await codeOf(reader().get('machines/a/two'))).toBe('FORMAT_DAMAGED');
    expect(await codeOf(reader().get('machines/a/one'))).toBe('nothing went wrong');
  });

  it('brings no object of another repository, but checkpoints to where one of the same key has them', async () => {
    const { beneath } = await place(100, 'tags/a');
    const other = new SealedStore(beneath, { ring, scopeOf: (key) => scopeOf(key) && 'repository two' });
    expect(await codeOf(other.get('tags/a'))).toBe('FORMAT_DAMAGED');
    const stranger = new SealedStore(beneath, { ring: KeyRing.create(), scopeOf });
    expect(await codeOf(stranger.get('tags/a'))).toBe('KEY_WRONG');
    const shared = await place(100, 'machines/a/one');
    const twin = new SealedStore(shared.beneath, {
      ring,
      scopeOf: (key) => scopeOf(key) && 'repository two',
    });
    expect((await twin.get('machines/a/one')).length).toBe(100);
  });

  it('puts nothing there that is not sealed', async () => {
    const { beneath, reader } = await place(10);
    for (const bytes of [
      Buffer.from('FDOC plain and long enough to be a header of a sealed object'),
      Buffer.from('x'),
    ]) {
      await beneath.put('k', bytes, { mode: 'replace' });
      expect(await codeOf(reader().get('k'))).toBe('FORMAT_FOREIGN');
      expect(await codeOf(reader().get('k', { offset: CHUNK, length: 1 }))).toBe('FORMAT_FOREIGN');
    }
    await rewrite(beneath, 'k', () => Buffer.from('FDSEALED\x02' + 'x'.repeat(90)));
    expect(await codeOf(reader().get('k'))).toBe('FORMAT_VERSION');
  });
});
