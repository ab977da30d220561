import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FsStore, storeFactory } from '../src/index.js';
import { mountSmall } from './support/host.js';

async function keysOf(store: FsStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

const small = mountSmall(2048);
afterAll(() => small?.unmount());

describe.skipIf(!small)('on a file system of 2 MiB', () => {
  async function* endless() {
    for (;;) {
      await Promise.resolve();
      yield new Uint8Array(100_000).fill(7);
    }
  }

  it('says that it is full, stays readable, and works again when there is room', async () => {
    const store = new FsStore(small!.path);
    await store.put('a/first', new Uint8Array(600_000).fill(1));
    for (const body of [endless(), new Uint8Array(5_000_000)]) {
      const put = store.put('b/large', body);
      await expect(put).rejects.toMatchObject({ code: 'STORE_FULL', hint: expect.any(String) as string });
    }
    await expect(store.put('a/first', endless(), { mode: 'replace' })).rejects.toMatchObject({
      code: 'STORE_FULL',
    });
    expect(await keysOf(store)).toEqual(['a/first']);
    expect((await store.get('a/first')).length).toBe(600_000);
    expect(readdirSync(join(small!.path, '.fitdoc-incoming'))).toEqual([]);
    await store.put('a/second', new Uint8Array(1_000_000).fill(2));
    await store.delete('a/first');
    await store.put('a/third', new Uint8Array(600_000).fill(3));
    expect(await keysOf(store)).toEqual(['a/second', 'a/third']);
  });

  it('says that it may not write where the file system is read-only, and reads there', async () => {
    const store = new FsStore(small!.path);
    const before = await keysOf(store);
    execFileSync('mount', ['-o', 'remount,ro', small!.path]);
    try {
      const other = await storeFactory.open(small!.path);
      await expect(other.put('x', new Uint8Array(1))).rejects.toMatchObject({ code: 'STORE_DENIED' });
      await expect(other.delete(before[0]!)).rejects.toMatchObject({ code: 'STORE_DENIED' });
      expect((await other.get(before[0]!)).length).toBeGreaterThan(0);
      expect(await keysOf(store)).toEqual(before);
    } finally {
      execFileSync('mount', ['-o', 'remount,rw', small!.path]);
    }
  });
});

describe('in a directory', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'fitdoc-fs-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('says that it may not write where the user has no right to', async () => {
    if (process.getuid?.() === 0) {
      // Root may do everything, so another user tries.
      const script = `
        import { FsStore } from '@fitdoc/store-fs';
        process.setgid(65534); process.setuid(65534);
        const store = new FsStore(${JSON.stringify(root)});
        await store.put('x', new Uint8Array(1)).catch((error) => process.stdout.write(error.code));`;
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: import.meta.dirname,
        encoding: 'utf8',
      });
      expect(output).toBe('STORE_DENIED');
      return;
    }
    chmodSync(root, 0o500);
    await expect(new FsStore(root).put('x', new Uint8Array(1))).rejects.toMatchObject({
      code: 'STORE_DENIED',
    });
    chmodSync(root, 0o700);
  });

  it('shows nothing that is not its own', async () => {
    const store = new FsStore(root);
    await store.put('dir/real.bin', new Uint8Array(3));
    writeFileSync(join(root, '.DS_Store'), 'x');
    writeFileSync(join(root, 'dir', 'with space.txt'), 'x');
    writeFileSync(join(root, 'dir', 'nodot'), 'x');
    writeFileSync(join(root, 'dir', 'ends=.bin+'), 'x');
    mkdirSync(join(root, 'lost.found'));
    writeFileSync(join(root, 'lost.found', 'x.bin'), 'x');
    symlinkSync('/etc', join(root, 'dir', 'etc'));
    mkdirSync(join(root, '.fitdoc-incoming'), { recursive: true });
    writeFileSync(join(root, '.fitdoc-incoming', 'foreign.txt'), 'x');
    expect(await keysOf(store)).toEqual(['dir/real.bin']);
  });

  it('removes what was left behind long ago, whoever it was, and nothing newer', async () => {
    const incoming = join(root, '.fitdoc-incoming');
    mkdirSync(incoming);
    const names = [
      '0123456789abcdef.77.1-0123456789abcdef.tmp',
      '0123456789abcdef.78.1-0123456789abcdef.tmp',
    ];
    for (const name of names) writeFileSync(join(incoming, name), 'half');
    const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
    utimesSync(join(incoming, names[0]!), twoDaysAgo, twoDaysAgo);
    await new FsStore(root).put('x', new Uint8Array(1));
    expect(readdirSync(incoming)).toEqual([names[1]]);
  });

  it('goes on when a directory that it made is removed', async () => {
    const store = new FsStore(root);
    await store.put('some/dir/a.bin', new Uint8Array(1));
    rmSync(join(root, 'some'), { recursive: true });
    await store.put('some/dir/b.bin', new Uint8Array(1));
    expect(await keysOf(store)).toEqual(['some/dir/b.bin']);
  });

  it('opens what is there, or makes it when told to', async () => {
    const place = join(root, 'deep', 'er', 'place');
    await expect(storeFactory.open(place)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    const store = await storeFactory.open(place, { create: true });
    await store.put('x', new Uint8Array(1));
    const again = await storeFactory.open(relative(process.cwd(), place), { create: true });
    expect((await again.stat('x'))?.size).toBe(1);
    expect(again.location).toBe(`fs:${place}`);
    for (const bad of ['', 'a\0b']) {
      await expect(storeFactory.open(bad)).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
    }
    writeFileSync(join(root, 'file'), '');
    await expect(storeFactory.open(join(root, 'file'))).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
    await expect(storeFactory.open(join(root, 'file', 'x'))).rejects.toMatchObject({
      code: 'LOCATION_INVALID',
    });
    await expect(storeFactory.open(place, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });
});
