import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordFile, writeRecord } from '../src/guard/record.js';
import { begunAt } from '../src/native/processes.js';
import type { QmpClient } from '../src/qmp/client.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fitdoc-records-'));
});
afterEach(async () => rm(directory, { recursive: true }));

/** A QEMU whose first CPU runs in the thread of that number. */
const qemu = (thread: number): QmpClient =>
  ({ execute: async () => [{ 'thread-id': thread }] }) as unknown as QmpClient;

test('a record goes when its QEMU has ended, and no other does', async () => {
  const space = /\d+/.exec(await readlink('/proc/self/ns/pid'))![0];
  const start = await begunAt(process.pid);
  const stay = [
    `served-${space}-${process.pid}-${start}.json`,
    // Of processes that are out of our sight, and none of ours.
    `qemu-1-4000000-1.json`,
    'else.json',
  ];
  const go = [
    `qemu-${space}-${process.pid}-${Number(start) + 1}.json`,
    `served-${space}-4000000-1.json`,
    `qemu-${space}-4000000-1.json.a-temporary-one`,
  ];
  for (const name of [...stay, ...go]) await writeFile(join(directory, name), '{}');
  const file = (await recordFile(qemu(process.pid), directory))!;
  await writeRecord(file, { a: 1 });
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ a: 1 });
  const own = `qemu-${space}-${process.pid}-${start}.json`;
  expect((await readdir(directory)).sort()).toEqual([own, ...stay].sort());
});

test('there is none of a QEMU that is out of sight', async () => {
  expect(await recordFile(qemu(4_000_000), directory)).toBeUndefined();
});
