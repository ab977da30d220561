import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { PAGE_SIZE, type MachineInfo } from '@fitdoc/interface';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { restoreToFile, writeRamFile } from '../src/restore/file.js';
import { ByteQueue } from '../src/stream/byte-queue.js';
import { readPrecopy } from '../src/stream/precopy.js';
import { SectionReader } from '../src/stream/sections.js';
import { qemuStream, writeQemuStream } from '../src/stream/write.js';
import { KeptCheckpoint, OracleMemory } from './support/oracle.js';
import { cut, feed } from './support/parse.js';

const info: MachineInfo = {
  id: 'm',
  name: 'm',
  hypervisor: 'qemu 7.2.22',
  scheme: 'kvm',
  architecture: 'x86_64',
  regions: [
    { name: 'pc.ram', firstGfn: 0, pages: 30, kind: 'ram' },
    { name: 'vga.vram', firstGfn: 30, pages: 6, kind: 'device' },
    { name: 'pc.bios', firstGfn: 36, pages: 4, kind: 'rom' },
  ],
  platform: { mainRam: 'pc.ram' },
  disks: [{ name: 'd0', writable: true, source: '/srv/d0.img', format: 'raw' }],
};
const devices = new Uint8Array([4, 0, 0, 0, 3, 1, 0x78, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0x7e, 0, 0, 0, 3, 0]);
const configuration = new Uint8Array([7, 0, 0, 0, 2, 0x70, 0x63]);
const deviceState = [
  { name: 'configuration', bytes: configuration },
  { name: 'devices', bytes: devices },
];

function checkpoint(pages: readonly number[]): { source: KeptCheckpoint; memory: OracleMemory } {
  const memory = new OracleMemory(info);
  for (const gfn of pages) memory.place(gfn, 1).fill(gfn + 1);
  return { source: memory.keep(info, deviceState), memory };
}

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'fitdoc-write-'))));
afterEach(() => rmSync(directory, { recursive: true }));

test('what is written reads back as it was, with every page of ROM and devices', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(39)), async (pages) => {
      const { source, memory } = checkpoint(pages);
      const chunks: Uint8Array[] = [];
      await writeQemuStream(source, (chunk) => void chunks.push(chunk));
      const queue = new ByteQueue();
      const sections = new SectionReader(queue);
      const read = new OracleMemory(info);
      const input = cut(Buffer.concat(chunks), [5000]);
      const header = feed(sections.readHeader(), queue, input);
      read.bytes.fill(0, 0, 30 * PAGE_SIZE).fill(0xee, 30 * PAGE_SIZE);
      const state = feed(readPrecopy(queue, sections, read), queue, input);
      expect(Buffer.compare(read.bytes, memory.bytes)).toBe(0);
      expect(Buffer.from(state)).toEqual(Buffer.from(devices));
      expect(Buffer.from(header.configuration)).toEqual(Buffer.from(configuration));
      expect(header.blocks.map(({ name }) => name)).toEqual(['pc.ram', 'vga.vram', 'pc.bios']);
    }),
    { numRuns: 40 },
  );
});

test('a region can be left out', async () => {
  const { source } = checkpoint([1, 2, 31]);
  const all = await writeQemuStream(source, () => undefined);
  const without = await writeQemuStream(source, () => undefined, { without: 'pc.ram' });
  expect(all - without).toBe(2 * (PAGE_SIZE + 8) + 7);
});

test('a checkpoint of something else cannot become a QEMU machine', async () => {
  const foreign = new KeptCheckpoint(info, [{ name: 'mock', bytes: new Uint8Array(1) }], []);
  await expect(qemuStream(foreign).next()).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
});

describe('a file', () => {
  test('holds the stream, and the report says how to load it and which disks are missing', async () => {
    const { source } = checkpoint([0, 5, 37]);
    const path = join(directory, 'machine.qemu');
    const report = await restoreToFile(path, source);
    expect(report).toMatchObject({ state: 'written', pages: 3 });
    expect(report.notes.join('\n')).toMatch(
      /-incoming "exec:cat .*machine\.qemu"[^]*d0 \(\/srv\/d0\.img, raw\)/,
    );
    expect(statSync(path).size).toBe(await writeQemuStream(source, () => undefined));
    expect(readdirSync(directory)).toEqual(['machine.qemu']);
  });

  test('of main memory is raw, whole and sparse', async () => {
    const { source, memory } = checkpoint([0, 29, 37]);
    const path = join(directory, 'ram');
    await writeRamFile(source, path);
    expect(Buffer.compare(readFileSync(path), memory.bytes.subarray(0, 30 * PAGE_SIZE))).toBe(0);
    await expect(writeRamFile(source, path, { region: 'none' })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });

  test('that is there is replaced only when that was said', async () => {
    const { source } = checkpoint([0, 5]);
    const path = join(directory, 'mine');
    writeFileSync(path, 'mine');
    const refused = { code: 'ARGUMENT_INVALID', hint: expect.stringContaining('--force') as string };
    await expect(restoreToFile(path, source)).rejects.toMatchObject(refused);
    await expect(writeRamFile(source, path)).rejects.toMatchObject(refused);
    expect(readFileSync(path, 'utf8')).toBe('mine');
    await writeRamFile(source, path, { replace: true });
    expect(statSync(path).size).toBe(30 * PAGE_SIZE);
    await restoreToFile(path, source, { replace: true });
    expect(statSync(path).size).toBe(await writeQemuStream(source, () => undefined));
  });

  test('does not appear when writing fails or is cancelled', async () => {
    const { source } = checkpoint([0, 5]);
    const path = join(directory, 'x');
    const broken = Object.assign(checkpoint([0]).source, {
      pages: async function* () {
        yield { gfn: 0, bytes: new Uint8Array(PAGE_SIZE) };
        throw new Error('the repository failed');
      },
    });
    await expect(restoreToFile(path, broken)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    const signal = AbortSignal.abort();
    await expect(restoreToFile(path, source, { signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    await expect(restoreToFile(`${directory}/no/x`, source)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });
});
