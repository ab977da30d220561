import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitdoc, folder, messages } from './cli.js';

const MACHINE = 'mock:disks?memory=16M&workload=idle&disks=3&disk-size=1M';
let place: Awaited<ReturnType<typeof folder>>;
let store: string[];

beforeAll(async () => {
  place = await folder();
  store = ['--store', path.join(place.path, 'checkpoints')];
  const more = ['--init', '--every', '20ms', '--count', '4', '--leave-out-disk', 'disk2', '--json'];
  const outcome = await fitdoc('watch', MACHINE, ...store, '--disks', 'capture', ...more);
  expect(outcome).toMatchObject({ code: 0, err: '' });
  const taken = messages(outcome).filter(({ message_type: type }) => type === 'checkpoint');
  expect(taken[3]).toMatchObject({ disks: [{ name: 'disk0' }, { name: 'disk1', read_bytes: 16_384 }] });
});
afterAll(() => place.remove());

describe('disks', () => {
  it('are refused unless it is said what becomes of them', async () => {
    const outcome = await fitdoc('save', MACHINE, ...store);
    expect(outcome.code).not.toBe(0);
    expect(outcome.err).toContain('--disks capture');
    expect((await fitdoc('save', MACHINE, ...store, '--disks', 'maybe')).err).toContain('--disks external');
  });

  it('are shown by info and list', async () => {
    const { out } = await fitdoc('info', 'latest', ...store);
    expect(out).toMatch(/disk0: disks-disk0\.img, 1\.00 MiB, what changed: \d+ blocks/);
    expect(out).toContain('disk2: disks-disk2.img, writable, left out');
    const [first] = messages(await fitdoc('info', 'latest~3', ...store, '--json'));
    expect(first).toMatchObject({ stored_disks: [{ name: 'disk0', kind: 'full' }, { name: 'disk1' }] });
    const [list] = messages(await fitdoc('list', ...store, '--json')) as { checkpoints?: unknown[] }[];
    expect(list?.checkpoints?.[0]).toMatchObject({ disks: 2 });
    expect((await fitdoc('list', ...store)).out).toMatch(/2: \d+ blocks/);
  });

  it('are written by themselves, sparse and whole, and nothing is replaced unasked', async () => {
    const to = path.join(place.path, 'written');
    const command = ['restore', 'latest', ...store, '--only-disks', '--disks', to];
    const dry = await fitdoc(...command, '--dry-run');
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('would write disk disk0') as string });
    await expect(stat(to)).rejects.toThrow();
    expect(await fitdoc(...command)).toMatchObject({ code: 0, err: '' });
    const [disk0, disk1] = await Promise.all(
      ['disk0', 'disk1'].map((name) => readFile(path.join(to, `${name}.raw`))),
    );
    expect([disk0!.length, disk1!.length]).toEqual([2 ** 20, 2 ** 20]);
    expect(disk0!.some((byte) => byte !== 0)).toBe(true);
    expect(Buffer.compare(disk0!, disk1!)).not.toBe(0);

    await writeFile(path.join(to, 'disk1.raw'), 'precious');
    expect((await fitdoc(...command)).code).not.toBe(0);
    expect(await readFile(path.join(to, 'disk1.raw'), 'utf8')).toBe('precious');
    expect((await fitdoc(...command, '--force')).code).toBe(0);
    expect(Buffer.compare(await readFile(path.join(to, 'disk1.raw')), disk1!)).toBe(0);

    const file = path.join(place.path, 'one.raw');
    const one = await fitdoc('export', 'latest', ...store, '--disk', 'disk1', '-o', file);
    expect(one).toMatchObject({ code: 0, err: '' });
    expect(Buffer.compare(await readFile(file), disk1!)).toBe(0);
  });

  it('are compared by diff, block by block', async () => {
    const outcome = await fitdoc('diff', 'latest~3', 'latest', ...store);
    expect(outcome.out).toMatch(/disk disk1: \d+ blocks \(.*\), \d+ words/);
    const [told] = messages(await fitdoc('diff', 'latest~3', 'latest', ...store, '--json'));
    expect(told).toMatchObject({
      disks: [{ disk: 'disk0', blocks: expect.any(Number) as number, size_bytes: [2 ** 20, 2 ** 20] }, {}],
    });
  });

  it('that are not there are named', async () => {
    const file = path.join(place.path, 'none.raw');
    const outcome = await fitdoc('export', 'latest', ...store, '--disk', 'vda', '-o', file);
    expect(outcome.code).not.toBe(0);
    expect(outcome.err).toContain('It holds: disk0, disk1');
    expect((await fitdoc('restore', 'latest', ...store)).err).toContain('--only-disks');
    const both = await fitdoc('restore', 'latest', ...store, '--to', 'mock:x', '--disks', place.path);
    expect(both.err).toContain('Write them alone, with --only-disks');
  });
});
