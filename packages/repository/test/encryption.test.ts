import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Store } from '@fitdoc/interface';
import { newKeyText, parseKeyFile, parsePassphrase, sealedSize, type Secret } from '@fitdoc/sealing';
import { MemoryStore } from '@fitdoc/store-memory';
import { afterAll, describe, expect, it } from 'vitest';
import {
  copyCheckpoints,
  DiskCache,
  isIntact,
  repairRepository,
  Repository,
  type InitOptions,
  type RepositoryOptions,
} from '../src/index.js';
import { putChain, putSample } from './support/checkpoints.js';

const root = mkdtempSync(path.join(tmpdir(), 'fitdoc-encryption-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A passphrase costs nearly nothing to try here. */
const scrypt = { cost: 1024, blockSize: 8, parallelization: 1 };
const word = (text: string): Secret => parsePassphrase(Buffer.from(text), 'of a test');
const givenBy = (...secrets: Secret[]): RepositoryOptions => ({ secrets: async () => secrets });
const encrypted = (...secrets: Secret[]): InitOptions => ({
  encrypt: { holders: secrets.map((holder) => ({ holder })), scrypt },
});

async function keysOf(store: Store, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

async function made(...options: [InitOptions?]) {
  const beneath = new MemoryStore();
  const repository = await Repository.init(beneath, options[0] ?? encrypted(word('pass')));
  return { beneath, repository, reopen: () => Repository.open(beneath, givenBy(word('pass'))) };
}

describe('an encrypted repository', () => {
  it('keeps nothing in the clear but its configuration, slots and locks', async () => {
    const { beneath, repository, reopen } = await made();
    const chain = await putChain(repository, 40);
    await repository.tags.set('golden', chain[3]!);
    await repository.maintain();
    await repository.close();
    const isPlain = /^(config\.json|locks\/.*|keys\/[0-9a-f]{16}\.json)$/;
    const kinds = new Set<string>();
    for (const key of await keysOf(beneath)) {
      const start = Buffer.from(await beneath.get(key, { offset: 0, length: 8 })).toString('latin1');
      expect(start === 'FDSEALED', key).toBe(!isPlain.test(key));
      kinds.add(key.split('/')[0]!);
    }
    expect([...kinds].sort()).toEqual(['catalogue', 'config.json', 'keys', 'machines', 'tags']);
    const again = await reopen();
    expect((await again.checkpoints()).map(({ contentHash }) => contentHash)).toEqual(
      chain.map(({ contentHash }) => contentHash),
    );
    expect((await again.resolve('golden')).id).toBe(chain[3]!.id);
    expect((await again.openCheckpoint(chain[3]!, { integrity: 'hash' })).header.machine.id).toBe('m1');
    await again.close();
    await expect(again.openCheckpoint(chain[3]!)).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  });

  it('opens with nothing but a secret of its own, and says so before anything is touched', async () => {
    const { beneath } = await made(encrypted(word('pass'), parseKeyFile(newKeyText(), 'k')));
    const before = await keysOf(beneath);
    await expect(Repository.open(beneath)).rejects.toMatchObject({ code: 'KEY_MISSING' });
    await expect(Repository.openOrInit(beneath)).rejects.toMatchObject({ code: 'KEY_MISSING' });
    await expect(Repository.open(beneath, givenBy(word('other')))).rejects.toMatchObject({
      code: 'KEY_WRONG',
    });
    const stranger = parseKeyFile(newKeyText(), 'file of another repository');
    await expect(Repository.open(beneath, givenBy(stranger))).rejects.toThrow(
      'The key file of another repository is not one of the repository in memory:.',
    );
    expect(await keysOf(beneath)).toEqual(before);
  });

  it('is refused by programs that know nothing of it, and by this one where its kind is a later one', async () => {
    const { beneath, reopen } = await made();
    const config = JSON.parse(new TextDecoder().decode(await beneath.get('config.json'))) as {
      version: number;
    };
    expect(config).toMatchObject({ version: 3, sealing: { spec: 'sealing-v1' } });
    const write = (value: object) =>
      beneath.put('config.json', Buffer.from(JSON.stringify(value)), { mode: 'replace' });
    await write({ ...config, sealing: { spec: 'sealing-v2' } });
    await expect(reopen()).rejects.toMatchObject({ code: 'REPOSITORY_INCOMPATIBLE' });
    await write({ ...config, sealing: undefined });
    await expect(reopen()).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    // Who can write the store makes it look like one that was never encrypted.
    await write({ ...config, version: 2, sealing: undefined });
    await expect(
      Repository.open(beneath, { ...givenBy(word('pass')), mustBeEncrypted: true }),
    ).rejects.toMatchObject({
      code: 'REPOSITORY_INCOMPATIBLE',
      message: expect.stringContaining('not encrypted') as string,
    });
  });

  it('is made whole or not at all', async () => {
    const { beneath } = await made();
    const before = await keysOf(beneath);
    await expect(Repository.init(beneath, encrypted(word('x')))).rejects.toMatchObject({
      code: 'REPOSITORY_EXISTS',
    });
    expect(await keysOf(beneath)).toEqual(before);
    const empty = new MemoryStore();
    await expect(Repository.init(empty, encrypted())).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    const holders = [{ holder: word('x') }, { holder: { kind: 'recipient', recipient: 'age1no' } as const }];
    await expect(Repository.init(empty, { encrypt: { holders, scrypt } })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
    const put = empty.put.bind(empty);
    empty.put = (key, ...rest) =>
      key === 'config.json' ? Promise.reject(new Error('full')) : put(key, ...rest);
    await expect(Repository.init(empty, encrypted(word('x')))).rejects.toThrow('full');
    expect(await keysOf(empty)).toEqual([]);
  });

  it('keeps the catalogue sealed in the cache of the host, too', async () => {
    const directory = path.join(root, 'cache');
    const { repository, beneath } = await made();
    await putChain(repository, 40);
    await repository.maintain();
    const near = { ...givenBy(word('pass')), cache: () => new DiskCache(directory) };
    const listed = await (await Repository.open(beneath, near)).list();
    const files = readdirSync(directory);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const bytes = readFileSync(path.join(directory, file));
      expect(bytes.toString('latin1', 0, 8)).toBe('FDSEALED');
      expect(bytes.includes('FDCATSEG')).toBe(false);
    }
    const reads: string[] = [];
    const get = beneath.get.bind(beneath);
    beneath.get = (key, ...rest) => (reads.push(key), get(key, ...rest));
    expect(await (await Repository.open(beneath, near)).list()).toEqual(listed);
    expect(reads.filter((key) => key.startsWith('catalogue/'))).toEqual([]);
  });
});

it('whose config object is lost is rebuilt as what it was, from its slots', async () => {
  const { beneath, repository, reopen } = await made();
  await putChain(repository, 2);
  await beneath.delete('config.json');
  await expect(repairRepository(beneath, { id: crypto.randomUUID() })).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
  });
  const report = await repairRepository(beneath);
  expect(report).toMatchObject({ found: 'missing', idFrom: 'keys', config: { encrypted: true, version: 3 } });
  expect(report.config.id).toBe(repository.config.id);
  expect(await (await reopen()).checkpoints()).toHaveLength(2);
});

it('beside whose slots are those of another that did not come to be is rebuilt as the one that it was', async () => {
  const { beneath, repository, reopen } = await made();
  await putChain(repository, 2);
  const { id } = repository.config;
  const [slot] = await keysOf(beneath, 'keys/');
  const other = JSON.parse(new TextDecoder().decode(await beneath.get(slot!))) as object;
  const left = { ...other, id: '0000000000000000', repository: crypto.randomUUID() };
  await beneath.put('keys/0000000000000000.json', Buffer.from(JSON.stringify(left)));
  await beneath.delete('config.json');
  await expect(repairRepository(beneath)).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
    hint: expect.stringContaining('--id') as string,
  });
  await beneath.put('config.json', Buffer.from(`"id": "${id}"`));
  expect((await repairRepository(beneath)).config.id).toBe(id);
  await beneath.delete('config.json');
  expect((await repairRepository(beneath, { id })).config).toMatchObject({ id, encrypted: true });
  expect(await (await reopen()).checkpoints()).toHaveLength(2);
});

it('whose config object and slots are lost is not rebuilt as a plain one, which would store in the clear', async () => {
  const { beneath, repository, reopen } = await made();
  await putChain(repository, 2);
  const [slot] = await keysOf(beneath, 'keys/');
  const kept = await beneath.get(slot!);
  await beneath.delete('config.json');
  const refused = { code: 'REPOSITORY_DAMAGED', hint: expect.stringContaining('keys/') as string };
  await beneath.put(slot!, Buffer.from('{'), { mode: 'replace' });
  await expect(repairRepository(beneath)).rejects.toMatchObject(refused);
  await beneath.delete(slot!);
  await expect(repairRepository(beneath)).rejects.toMatchObject(refused);
  expect(await beneath.stat('config.json')).toBeUndefined();
  await beneath.put(slot!, kept);
  expect((await repairRepository(beneath)).config).toMatchObject({ encrypted: true });
  expect(await (await reopen()).checkpoints()).toHaveLength(2);
});

describe('who can write the store of an encrypted repository', () => {
  it('moves no checkpoint, and brings none of another: each is told of as damaged', async () => {
    const { beneath, repository, reopen } = await made();
    const chain = await putChain(repository, 2);
    const moved = chain[1]!.key.replace(/[0-9a-f]{12}\.fitdoc$/, '0123456789ab.fitdoc');
    await beneath.put(moved, await beneath.get(chain[1]!.key));
    const other = await made(encrypted(word('another')));
    const [foreign] = await putChain(other.repository, 1, { machine: 'm1' });
    await beneath.put(foreign!.key, await other.beneath.get(foreign!.key));
    const listed = await (await reopen()).list();
    const broken = listed.filter((entry) => !isIntact(entry));
    expect(broken.map(({ key, damaged }) => [key, damaged.code]).sort()).toEqual(
      [
        [moved, 'FORMAT_DAMAGED'],
        [foreign!.key, 'KEY_WRONG'],
      ].sort(),
    );
    expect(listed.filter(isIntact).map(({ id }) => id)).toEqual(chain.map(({ id }) => id));
  });

  it('rolls the catalogue back to no effect that lasts: what it tells of and is gone is named, and it is rebuilt', async () => {
    const { beneath, repository, reopen } = await made();
    const chain = await putChain(repository, 40);
    await repository.maintain();
    const old = new Map<string, Uint8Array>();
    for (const key of await keysOf(beneath, 'catalogue/')) old.set(key, await beneath.get(key));
    await repository.delete(chain.slice(30));
    await repository.close();
    const restored = await keysOf(beneath, 'catalogue/');
    for (const key of restored) await beneath.delete(key);
    for (const [key, bytes] of old) await beneath.put(key, bytes);
    const again = await reopen();
    const last = chain[39]!;
    await expect(again.openCheckpoint(last)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    expect((await again.resolve('latest')).id).toBe(chain[29]!.id);
    await again.maintain({ audit: true });
    expect(await (await reopen()).checkpoints()).toHaveLength(30);
    // One under the key of another is not believed.
    const [one, two] = [...old.keys()];
    if (one && two) await beneath.put(one, old.get(two)!, { mode: 'replace' });
    expect(await (await reopen()).checkpoints()).toHaveLength(30);
  });
});

describe('a change of keys', () => {
  it('leaves what is there readable; who opened it before does not take what came after for damaged', async () => {
    const { repository, reopen } = await made();
    const [base] = await putChain(repository, 1);
    const { keyId } = await repository.encryption!.keys.rotate([word('pass')]);
    const later = await reopen();
    expect(later.encryption!.keys.currentId).toBe(keyId);
    const next = await putSample(later, { parent: base! });
    expect((await later.chain(next)).length).toBe(2);
    const seen = (await repository.list()).find(({ key }) => key === next.key);
    expect(seen && !isIntact(seen) && seen.damaged.code).toBe('KEY_WRONG');
    await expect(repository.delete([base!])).rejects.toMatchObject({ code: 'KEY_WRONG' });
    expect(await later.checkpoints()).toHaveLength(2);
  });
});

it('who can open it is changed by one at a time, while checkpoints go on', async () => {
  const { beneath, repository, reopen } = await made();
  const impatient = { ...givenBy(word('pass')), lockWaitMs: 0 };
  const other = await Repository.open(beneath, impatient);
  const put = beneath.put.bind(beneath);
  const seen: string[] = [];
  beneath.put = async (key, ...rest) => {
    if (key.startsWith('keys/') && seen.length === 0) {
      seen.push(key);
      beneath.put = put;
      const { keys } = other.encryption!;
      const [slot] = await keys.list();
      for (const change of [
        () => keys.rotate([word('pass')]),
        () => keys.add(word('second')),
        () => keys.remove(slot!.id),
      ])
        await expect(change()).rejects.toMatchObject({
          code: 'REPOSITORY_LOCKED',
          message: expect.stringContaining('change of keys') as string,
        });
      await putSample(other, {});
    }
    return put(key, ...rest);
  };
  const { keyId } = await repository.encryption!.keys.rotate([word('pass')]);
  expect(seen).toHaveLength(1);
  expect(await keysOf(beneath, 'locks/exclusive/')).toEqual([]);
  // Who opened it before would let somebody in who could not read what comes.
  await expect(other.encryption!.keys.add(word('second'))).rejects.toMatchObject({ code: 'KEY_WRONG' });
  const later = await reopen();
  expect(later.encryption!.keys.currentId).toBe(keyId);
  expect(await later.checkpoints()).toHaveLength(1);
  for (const each of [repository, other, later]) await each.close();
});

describe('a copy', () => {
  it('goes from plain to encrypted and back, verified', async () => {
    const plain = await Repository.init(new MemoryStore());
    const chain = await putChain(plain, 3);
    const { repository } = await made();
    const back = await Repository.init(new MemoryStore());
    await copyCheckpoints(plain, repository, chain);
    expect((await copyCheckpoints(repository, back, await repository.checkpoints())).copied).toHaveLength(3);
    for (const { key } of chain)
      expect(Buffer.compare(await back.store.get(key), await plain.store.get(key))).toBe(0);
    await expect(copyCheckpoints(plain, repository, chain, { asIs: true })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });

  it('between two of the same key passes the sealed bytes on unread, where it is told to', async () => {
    const { repository, beneath } = await made();
    const chain = await putChain(repository, 3);
    const target = new MemoryStore();
    const twin = await Repository.init(target, {
      encrypt: { holders: [{ holder: word('other') }], keyOf: repository.encryption!.keys, scrypt },
    });
    const get = beneath.get.bind(beneath);
    const report = await copyCheckpoints(repository, twin, chain, { asIs: true });
    expect(report.asIs).toBe(3);
    for (const { key, bytes } of chain) {
      const sealed = await get(key);
      expect(sealed.length).toBe(sealedSize(bytes));
      expect(Buffer.compare(await target.get(key), sealed)).toBe(0);
    }
    const opened = await Repository.open(target, givenBy(word('other')));
    expect((await opened.chain((await opened.checkpoints())[2]!)).length).toBe(3);
    for (const entry of await opened.checkpoints()) await opened.openCheckpoint(entry, { integrity: 'hash' });
    const stranger = await made(encrypted(word('another')));
    await expect(copyCheckpoints(repository, stranger.repository, chain, { asIs: true })).rejects.toThrow(
      'do not have the same key',
    );
    beneath.get = async (key, ...rest) => {
      const bytes = await get(key, ...rest);
      return key === chain[1]!.key && bytes.length > 100 ? bytes.subarray(0, 100) : bytes;
    };
    const third = await Repository.init(new MemoryStore(), {
      encrypt: { holders: [{ holder: word('other') }], keyOf: repository.encryption!.keys, scrypt },
    });
    await expect(copyCheckpoints(repository, third, chain, { asIs: true })).rejects.toMatchObject({
      code: 'REPOSITORY_DAMAGED',
    });
    expect(await third.checkpoints()).toHaveLength(1);
  });
});
