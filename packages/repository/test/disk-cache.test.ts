import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SegmentStore } from '../src/catalogue/packed/segment-store.js';
import { cacheDirectory, cacheFor, DiskCache } from '../src/index.js';
import { syntheticEntry, SyntheticStore } from './support/synthetic-store.js';

const root = mkdtempSync(path.join(tmpdir(), 'fitdoc-cache-'));
afterAll(() => rmSync(root, { recursive: true }));

const digest = (nth: number) => nth.toString(16).padStart(32, '0');

describe('the cache of segments', () => {
  it('spares requests, is private, and a damaged file in it does no harm', async () => {
    const directory = path.join(root, 'one');
    const store = new SyntheticStore();
    const entries = Array.from({ length: 50 }, (_, nth) => syntheticEntry(nth));
    const series = { machine: 'm', name: 'checkpoints' };
    await new SegmentStore(store, undefined).put(
      series,
      { full: true, after: '', last: '1' },
      { entries, unread: [] },
    );
    const gets = async () => {
      const segments = new SegmentStore(store, new DiskCache(directory));
      const found = await segments.find('m', {});
      const { result, requests } = await store.counting(() => segments.read(found.segments, {}));
      expect(result.read[0]!.entries).toEqual(entries);
      return requests.get;
    };
    expect([await gets(), await gets()]).toEqual([1, 0]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const [file] = readdirSync(directory).map((name) => path.join(directory, name));
    expect(statSync(file!).mode & 0o777).toBe(0o600);
    writeFileSync(file!, 'something else');
    expect([await gets(), await gets()]).toEqual([1, 0]);
  });

  it('keeps within its bytes by letting go what was used longest ago, and tidies up', async () => {
    const directory = path.join(root, 'two');
    const cache = new DiskCache(directory, { maxBytes: 1_000 });
    for (let nth = 0; nth < 3; nth++) {
      await cache.put(digest(nth), new Uint8Array(300).fill(nth));
      utimesSync(path.join(directory, `${digest(nth)}.seg`), nth, nth);
    }
    writeFileSync(path.join(directory, '1-dead.tmp'), '');
    utimesSync(path.join(directory, '1-dead.tmp'), 1, 1);
    expect(await cache.get(digest(0))).toEqual(Buffer.alloc(300, 0));
    await cache.put(digest(3), new Uint8Array(300));
    expect(readdirSync(directory).sort()).toEqual([0, 2, 3].map((nth) => `${digest(nth)}.seg`));
    await cache.put(digest(4), new Uint8Array(1_001));
    expect(await cache.get(digest(4))).toBeUndefined();
  });

  it('never fails, and is shared by those who use it at once', async () => {
    const file = path.join(root, 'no-directory');
    writeFileSync(file, '');
    const broken = new DiskCache(file);
    await broken.put(digest(1), new Uint8Array(5));
    expect(await broken.get(digest(1))).toBeUndefined();
    const directory = path.join(root, 'three');
    const many = Array.from({ length: 8 }, () => new DiskCache(directory, { maxBytes: 2_000 }));
    const use = async (cache: DiskCache, nth: number) => {
      await cache.put(digest(nth % 10), new Uint8Array(300).fill(nth % 10));
      const got = await cache.get(digest((nth * 3) % 10));
      expect(got ?? Buffer.alloc(300, (nth * 3) % 10)).toEqual(Buffer.alloc(300, (nth * 3) % 10));
    };
    await Promise.all(many.flatMap((cache) => Array.from({ length: 20 }, (_, nth) => use(cache, nth))));
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is where XDG says, for stores that are far, unless it is switched off', () => {
    expect(cacheDirectory('id', { XDG_CACHE_HOME: '/var/cache/me' })).toBe(
      '/var/cache/me/fitdoc/catalogue/id',
    );
    expect(cacheDirectory('id', { XDG_CACHE_HOME: 'relative' })).toMatch(/\/\.cache\/fitdoc\/catalogue\/id$/);
    expect(cacheFor('fs:/srv/backup', {})).toBeUndefined();
    expect(cacheFor('s3://bucket/x', { FITDOC_CACHE: 'off' })).toBeUndefined();
    expect(cacheFor('s3://bucket/x', { XDG_CACHE_HOME: root })!('id')).toBeInstanceOf(DiskCache);
  });
});
