import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeSuite } from '@fitdoc/compliance/store';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FsStore, nodeFileSystem, storeFactory, type FileSystem } from '../src/index.js';
import { MountPoint, mountExfat } from './support/file-systems.js';
import { mountSmall } from './support/host.js';

const one = new Uint8Array([1]);
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fitdoc-place-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function keysOf(store: FsStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

const exfat = mountExfat();
afterAll(() => exfat?.unmount());
let stores = 0;

describe.skipIf(!exfat)('exFAT, which has no hard links', () => {
  /** Where keys differ in letter case alone, and where this FUSE file system replaces in two steps. */
  const lost = [
    'answers for missing keys',
    'lists in ascending order of bytes, by plain string prefix',
    'lists what comes behind a key, or behind the beginning of one',
    'replaces atomically: a reader sees the old or the new, whole',
  ];
  storeSuite(
    {
      describe,
      it: (name, body, timeoutMs) => it.skipIf(lost.includes(name))(name, body, timeoutMs),
    },
    {
      name: 'store-fs on exFAT',
      // Each call goes through the process that the file system is.
      timeoutMs: 180_000,
      async open() {
        const root = join(exfat!.path, `store-${stores++}`);
        return {
          store: await storeFactory.open(root, { create: true }),
          another: () => storeFactory.open(root),
          dispose: async () => rmSync(root, { recursive: true, force: true }),
        };
      },
    },
  );

  it('says once what it lacks, and never lets two puts of one process have a key', async () => {
    const root = join(exfat!.path, 'told');
    const store = (await storeFactory.open(root, { create: true })) as FsStore;
    expect(store.supports.notes?.join('\n')).toMatch(/letter case/);
    const again = await storeFactory.open(root);
    expect(again.supports).toEqual(store.supports);
    const puts = Array.from({ length: 8 }, (_, i) => store.put('race/one', new Uint8Array([i])));
    const won = (await Promise.allSettled(puts)).filter(({ status }) => status === 'fulfilled');
    expect(won).toHaveLength(1);
    expect(await keysOf(store)).toEqual(['race/one']);
    await store.close();
    expect(readdirSync(root)).toEqual(['race']);
  });
});

const isOurs = (id: string) => (bytes: Uint8Array) => new TextDecoder().decode(bytes) === id;
const text = (value: string) => new TextEncoder().encode(value);
const mounts = mountSmall(64);
mounts?.unmount();

describe.skipIf(!mounts)('a mount under a running store', () => {
  async function filled(path: string, id: string): Promise<FsStore> {
    const store = (await storeFactory.open(path, { create: true })) as FsStore;
    await store.put('config.json', text(id));
    store.anchor('config.json', isOurs(id));
    return store;
  }

  it('that vanishes is told, nothing is written below it, and with it all goes on', async () => {
    const source = new MountPoint(join(folder, 'disk'));
    const place = new MountPoint(join(folder, 'place'));
    for (const { path } of [source, place]) mkdirSync(path);
    source.mount();
    place.bind(source.path);
    try {
      const store = await filled(place.path, 'mine');
      await store.put('a/first', one);
      place.unmount();
      const away = { code: 'STORE_UNAVAILABLE', retryable: true, details: { place: 'missing' } };
      await expect(store.put('a/second', one)).rejects.toMatchObject(away);
      await expect(store.put('a/second', one, { mode: 'replace' })).rejects.toMatchObject(away);
      await expect(store.get('a/first')).rejects.toMatchObject(away);
      await expect(store.stat('a/first')).rejects.toMatchObject(away);
      await expect(store.delete('a/first')).rejects.toMatchObject(away);
      await expect(store.deleteMany(['a/first'])).rejects.toMatchObject(away);
      await expect(keysOf(store)).rejects.toMatchObject(away);
      expect(readdirSync(place.path)).toEqual([]);
      place.bind(source.path);
      await store.put('a/second', one);
      expect(await keysOf(store)).toEqual(['a/first', 'a/second', 'config.json']);
      place.unmount();
    } finally {
      source.unmount();
    }
  });

  it('with another repository on it is not read and not written', async () => {
    const place = new MountPoint(join(folder, 'place'));
    mkdirSync(place.path);
    const store = await filled(place.path, 'mine');
    place.mount();
    try {
      const other = await filled(place.path, 'theirs');
      const refused = { code: 'STORE_UNAVAILABLE', retryable: true, details: { place: 'another' } };
      await expect(store.put('x', one)).rejects.toMatchObject(refused);
      await expect(store.delete('config.json')).rejects.toMatchObject(refused);
      await expect(keysOf(store)).rejects.toMatchObject(refused);
      expect(await keysOf(other)).toEqual(['config.json']);
      await other.close();
    } finally {
      place.unmount();
    }
    await store.put('x', one);
    expect(await keysOf(store)).toEqual(['config.json', 'x']);
  });

  it('that is missing is not made up for on the disk below', async () => {
    const point = join(folder, 'a b');
    mkdirSync(point);
    const fstab = join(folder, 'fstab');
    writeFileSync(fstab, `# a comment\ntmpfs ${point.replace(' ', '\\040')} tmpfs noauto 0 0\n`);
    const script = `
      import { storeFactory } from '@fitdoc/store-fs';
      const store = await storeFactory.open(${JSON.stringify(join(point, 'repository'))}, { create: true });
      await store.put('x', new Uint8Array(1));
      process.stdout.write('made');`;
    const open = (before: string): string =>
      execFileSync(
        'unshare',
        [
          '--mount',
          'sh',
          '-c',
          `mount --bind "$1" /etc/fstab; ${before} "$2" --input-type=module -e "$3" 2>&1 || true`,
          'sh',
          fstab,
          process.execPath,
          script,
        ],
        { cwd: import.meta.dirname, encoding: 'utf8' },
      );
    expect(open('')).toMatch(/is to be on .*a b, which is not mounted/);
    expect(readdirSync(point)).toEqual([]);
    expect(open(`mount -t tmpfs tmpfs '${point}';`)).toBe('made');
  });

  it('is asked for by a setting', async () => {
    const place = new MountPoint(join(folder, 'place'));
    mkdirSync(place.path);
    const root = join(place.path, 'repository');
    const open = (requireMount: unknown) =>
      storeFactory.open(root, { create: true, config: { requireMount } });
    await expect(open(place.path)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
    expect(readdirSync(place.path)).toEqual([]);
    place.mount();
    try {
      for (const asked of [place.path, true]) await (await open(asked)).close();
      await expect(open('/elsewhere')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await expect(open('relative')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    } finally {
      place.unmount();
    }
  });
});

describe('a server of files that loses its answers', () => {
  function losing(call: 'link' | 'rename', code: string): FileSystem {
    return {
      ...nodeFileSystem,
      async [call](from: string, to: string) {
        await nodeFileSystem[call](from, to);
        throw Object.assign(new Error(`${code}: lost`), { code });
      },
    };
  }

  it.each([
    ['link', 'EEXIST', 'absent'],
    ['link', 'EIO', 'absent'],
    ['rename', 'ENOENT', 'replace'],
    ['rename', 'ETIMEDOUT', 'replace'],
  ] as const)('%s done and answered with %s is done', async (call, code, mode) => {
    const store = new FsStore(folder, { fileSystem: losing(call, code) });
    expect(await store.put('a/key', one, { mode })).toMatchObject({ key: 'a/key', size: 1 });
    expect(await store.get('a/key')).toEqual(one);
    await store.close();
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('EEXIST of another is still another', async () => {
    const store = new FsStore(folder, { fileSystem: losing('link', 'EEXIST') });
    await store.put('a/key', one);
    await expect(store.put('a/key', new Uint8Array(2))).rejects.toMatchObject({ code: 'STORE_EXISTS' });
    expect(await store.get('a/key')).toEqual(one);
  });
});

it('renames that spare what is there take the place of hard links', async () => {
  const linkless = {
    ...nodeFileSystem,
    link: () => Promise.reject(Object.assign(new Error(), { code: 'EPERM' })),
  };
  const abilities = { naming: 'rename-if-absent', syncsDirectories: true, lettersHaveCase: true } as const;
  const open = (): FsStore => new FsStore(folder, { fileSystem: linkless, abilities });
  const [store, other] = [open(), open()];
  const puts = Array.from({ length: 10 }, (_, i) => (i % 2 ? store : other).put('race', new Uint8Array([i])));
  expect((await Promise.allSettled(puts)).filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(store.supports.conditionalPut).toBe(true);
  await store.put('race', one, { mode: 'replace' });
  expect(await store.get('race')).toEqual(one);
});

describe('who may read', () => {
  const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
  async function make(root: string, config = {}): Promise<void> {
    const store = await storeFactory.open(root, { create: true, config });
    await store.put('machines/web/one.bin', one);
    await store.close();
  }

  it.each([0o000, 0o022, 0o077])('its owner, whatever the mask: %o', async (mask) => {
    const root = join(folder, 'store');
    const before = process.umask(mask);
    try {
      await make(root);
    } finally {
      process.umask(before);
    }
    expect(['', 'machines', 'machines/web'].map((name) => modeOf(join(root, name)))).toEqual(
      Array(3).fill('700'),
    );
    expect(modeOf(join(root, 'machines/web/one.bin'))).toBe('600');
  });

  it('a group that was asked for, then and later', async () => {
    const root = join(folder, 'store');
    const gid = process.getgid?.() ?? 0;
    await make(root, { group: String(gid) });
    const later = await storeFactory.open(root);
    await later.put('machines/web/two.bin', one);
    expect(['', 'machines', 'machines/web'].map((name) => modeOf(join(root, name)))).toEqual(
      Array(3).fill('2750'),
    );
    for (const name of ['one', 'two']) expect(modeOf(join(root, `machines/web/${name}.bin`))).toBe('640');
    await expect(make(root, { group: 'no-such-group' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('everybody, in a place of an earlier version, which is left and told', async () => {
    const root = join(folder, 'store');
    mkdirSync(join(root, 'machines'), { recursive: true });
    for (const path of [root, join(root, 'machines')]) chmodSync(path, 0o755);
    expect((await storeFactory.open(root)).supports.notes?.join()).toMatch(/chmod -R o=/);
    expect(modeOf(join(root, 'machines'))).toBe('755');
  });
});

it('an ended writer leaves no folder behind, and one that is taken away is made again', async () => {
  const [store, other] = [new FsStore(folder), new FsStore(folder)];
  await store.put('a.bin', one);
  await other.put('b.bin', one);
  await other.close();
  expect(readdirSync(folder).sort()).toEqual(['a.bin', 'b.bin']);
  await store.put('c.bin', one);
  await store.close();
  expect(readdirSync(folder).sort()).toEqual(['a.bin', 'b.bin', 'c.bin']);
});
