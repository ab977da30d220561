import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FsStore } from '../src/index.js';

const run = promisify(execFile);
const putter = join(import.meta.dirname, 'support', 'putter.mjs');
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'fitdoc-fs-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

it('lets exactly one of several processes win each key', async () => {
  const keys = Array.from({ length: 60 }, (_, i) => `race/${i % 3}/${i}`);
  const names = ['ann', 'bob', 'eve'];
  const outputs = await Promise.all(
    names.map((name) => run(process.execPath, [putter, root, name, 'race', ...keys])),
  );
  const winners = new Map<string, string>();
  for (const [index, { stdout }] of outputs.entries()) {
    for (const key of stdout.split('\n').filter(Boolean)) {
      expect(winners.has(key), `${key} was won twice`).toBe(false);
      winners.set(key, names[index]!);
    }
  }
  expect(winners.size).toBe(keys.length);
  const store = new FsStore(root);
  for (const [key, name] of winners) expect(new TextDecoder().decode(await store.get(key))).toBe(name);
});

async function checkWhole(store: FsStore, key: string): Promise<void> {
  const bytes = await store.get(key);
  const digest = createHash('sha256').update(bytes.subarray(32)).digest();
  expect(digest.equals(bytes.subarray(0, 32)), `${key} is whole`).toBe(true);
}

/** Starts a putter, kills it after a while, and gives the keys that it had acknowledged. */
async function putAndDie(name: string, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [putter, root, name, 'endless'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const closed = new Promise((resolve) => child.once('close', resolve));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  child.kill('SIGKILL');
  await closed;
  return output.split('\n').slice(0, -1);
}

it('keeps what killed processes had stored, whole, and nothing else of theirs', async () => {
  for (let round = 0; round < 6; round++) {
    const names = [`a${round}`, `b${round}`];
    const acknowledged = (
      await Promise.all(names.map((name, i) => putAndDie(name, 20 + 37 * round + 11 * i)))
    ).flat();
    const store = new FsStore(root);
    const listed = new Set<string>();
    for await (const { key } of store.list('')) {
      listed.add(key);
      if (key.startsWith(names[0]!) || key.startsWith(names[1]!) || key.startsWith('shared')) {
        await checkWhole(store, key);
      }
    }
    for (const key of acknowledged) expect(listed.has(key), `${key} was acknowledged`).toBe(true);
    await store.put(`after/${round}`, new Uint8Array(1));
    expect(await readdir(join(root, '.fitdoc-incoming')), 'leftovers are gone').toEqual([]);
  }
});

it('leaves the temporary files of living processes alone', async () => {
  const child = spawn(process.execPath, [putter, root, 'living', 'endless'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const died = new Promise<unknown>((resolve) => child.once('exit', resolve));
  let lines = 0;
  child.stdout.on('data', (chunk: Buffer) => (lines += chunk.toString().split('\n').length - 1));
  try {
    for (let i = 0; i < 30; i++) {
      const store = new FsStore(root);
      await store.put(`mine/${i}`, new Uint8Array(10));
      await store.close();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const before = lines;
    for (let i = 0; i < 200 && lines < before + 5; i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(lines, 'it goes on storing').toBeGreaterThanOrEqual(before + 5);
    expect(child.exitCode).toBe(null);
  } finally {
    child.kill('SIGKILL');
    await died;
  }
});
