import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForNbd } from '../../../tools/lab/src/nbd/index.js';
import { PatchedDisk } from './support/patches.js';
import { serve, type Served } from './support/place.js';

const tools = gate('nbd', await missingForNbd());

const run = async (command: string, ...args: string[]): Promise<string> =>
  (await promisify(execFile)(command, args)).stdout;

// No multiple of a sector, and longer than what is told at once.
const SIZE = 24 * 2 ** 20 + 512;
const BLOCKS = [0, 1, 2, 300, 4096, 5000, 6143, 6144];
const vda = new PatchedDisk('vda', SIZE, BLOCKS);
let served: Served;
let raw: string;

beforeAll(async () => {
  served = await serve({ exports: [vda, new PatchedDisk('a disk, with: odd/name', 2 ** 20, [3])] });
  raw = path.join(served.folder, 'vda.raw');
  await writeFile(raw, vda.content);
});
afterAll(() => served.close());

const uri = (name: string): string => `nbd+unix:///${encodeURIComponent(name)}?socket=${served.socket}`;

describe.skipIf(tools.skip)(tools.title('an export, for programs of others'), () => {
  it('is listed and described by nbdinfo', async () => {
    const listed = JSON.parse(await run('nbdinfo', '--list', '--json', uri(''))) as {
      exports: Record<string, unknown>[];
    };
    expect(listed.exports).toMatchObject([
      { 'export-name': 'vda', 'export-size': SIZE, is_read_only: true, can_multi_conn: true },
      { 'export-name': 'a disk, with: odd/name' },
    ]);
    const map = JSON.parse(await run('nbdinfo', '--map', '--json', uri('vda'))) as {
      offset: number;
      type: number;
    }[];
    expect(map.filter(({ type }) => type === 0).map(({ offset }) => offset / 4096)).toEqual([
      0, 300, 4096, 5000, 6143,
    ]);
  });

  it('is compared, mapped and converted by qemu-img', async () => {
    await run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', raw, uri('vda'));
    const map = JSON.parse(await run('qemu-img', 'map', '--output=json', '-f', 'raw', uri('vda'))) as {
      start: number;
      zero: boolean;
    }[];
    expect(map.filter(({ zero }) => !zero).map(({ start }) => start / 4096)).toEqual([
      0, 300, 4096, 5000, 6143,
    ]);
    const copy = path.join(served.folder, 'copy.qcow2');
    await run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', uri('vda'), copy);
    await run('qemu-img', 'compare', '-f', 'raw', raw, copy);
  });

  it('is copied by nbdcopy, by one connection and by several, with and without the status', async () => {
    const copy = path.join(served.folder, 'copy.raw');
    for (const options of [['--connections=1'], ['--connections=4'], ['--no-extents']]) {
      await run('nbdcopy', ...options, uri('vda'), copy);
      expect(Buffer.compare(await readFile(copy), vda.content)).toBe(0);
    }
  });

  it('is not written to', async () => {
    const copy = path.join(served.folder, 'vda.raw');
    await expect(run('nbdcopy', copy, uri('vda'))).rejects.toThrow(/read-only|read only/i);
    await expect(run('qemu-img', 'convert', '-n', '-O', 'raw', copy, uri('vda'))).rejects.toThrow(
      /Permission denied|read-only/,
    );
  });

  it('whose block is damaged fails there, and only there', async () => {
    vda.broken.add(5000);
    const copy = path.join(served.folder, 'damaged.raw');
    await expect(run('nbdcopy', uri('vda'), copy)).rejects.toThrow(/Input\/output error/);
    vda.broken.clear();
    await run('nbdcopy', uri('vda'), copy);
    expect(Buffer.compare(await readFile(copy), vda.content)).toBe(0);
  });
});
