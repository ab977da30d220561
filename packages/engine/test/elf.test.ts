import { exportElf, exportRaw } from '@fitdoc/engine';
import {
  PAGE_SIZE,
  type Json,
  type MachineInfo,
  type PageExtent,
  type RestoreSource,
} from '@fitdoc/interface';
import fc from 'fast-check';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const GIB = 2 ** 30;
let folder: string;
beforeAll(async () => (folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-elf-'))));
afterAll(() => rm(folder, { recursive: true }));

interface Segment {
  readonly address: number;
  readonly bytes: number;
  readonly offset: number;
}

/** What the program headers say, read anew. */
function segmentsOf(file: Buffer): Segment[] {
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = 64 + index * 56;
    expect(file.readBigUInt64LE(at + 32)).toBe(file.readBigUInt64LE(at + 40));
    const [offset, address, bytes] = [8, 24, 32].map((field) => Number(file.readBigUInt64LE(at + field)));
    return { offset: offset!, address: address!, bytes: bytes! };
  });
}

type Regions = readonly (readonly [name: string, pages: number, kind: 'ram' | 'rom' | 'device'])[];

/** A machine whose every page but each third is filled with its number. */
function machine(regions: Regions, platform: Record<string, Json>): RestoreSource {
  let firstGfn = 0;
  const listed = regions.map(([name, pages, kind]) => {
    firstGfn += pages;
    return { name, pages, kind, firstGfn: firstGfn - pages };
  });
  const info = { architecture: 'x86_64', regions: listed, platform, disks: [] } as unknown as MachineInfo;
  async function* pages({
    regions: wanted,
  }: { regions?: readonly string[] } = {}): AsyncIterable<PageExtent> {
    for (const region of listed) {
      if (wanted?.includes(region.name) === false || region.pages > 4096) continue;
      for (let gfn = region.firstGfn; gfn < region.firstGfn + region.pages; gfn++)
        if (gfn % 3 > 0) yield { gfn, bytes: new Uint8Array(PAGE_SIZE).fill(gfn + 1) };
    }
  }
  return { info, deviceState: [], pages };
}

/** Takes only the headers of a file that may be gibibytes long. */
async function layout(source: RestoreSource): Promise<Segment[]> {
  const file = path.join(folder, 'layout');
  await exportElf(source, file);
  const handle = await open(file);
  const head = Buffer.alloc(4096);
  await handle.read(head, 0, head.length, 0);
  await handle.close();
  await rm(file);
  return segmentsOf(head);
}

test('every mapped range lies at its address with its bytes; what follows on is one segment', async () => {
  const ranges = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 5 })), {
    minLength: 1,
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(ranges, async (drawn) => {
      const names = ['low', 'high', 'bios', 'vram'] as const;
      const regions: Regions = [
        ['low', 20, 'ram'],
        ['high', 20, 'ram'],
        ['bios', 20, 'rom'],
        ['vram', 20, 'device'],
      ];
      // The same pages may be seen twice, as a BIOS is: ranges begin where they like.
      let address = 0;
      const map = drawn.map(([index, pages], at) => {
        address += at % 2 === 0 ? 0 : PAGE_SIZE;
        const entry = { region: names[index]!, offset: at * PAGE_SIZE, bytes: pages * PAGE_SIZE, address };
        address += entry.bytes;
        return entry;
      });
      const file = path.join(folder, 'property');
      await exportElf(machine(regions, { memoryMap: map }), file);
      const written = await readFile(file);
      await rm(file);
      const segments = segmentsOf(written);
      for (const { region, offset, bytes, address: from } of map) {
        const segment = segments.find((each) => each.address <= from && from < each.address + each.bytes)!;
        const firstGfn = names.indexOf(region) * 20 + offset / PAGE_SIZE;
        for (let page = 0; page < bytes / PAGE_SIZE; page++) {
          const gfn = firstGfn + page;
          const at = segment.offset + from - segment.address + page * PAGE_SIZE;
          expect(written[at]).toBe(gfn % 3 > 0 ? (gfn + 1) & 255 : 0);
          expect(written[at + PAGE_SIZE - 1]).toBe(gfn % 3 > 0 ? (gfn + 1) & 255 : 0);
        }
      }
      expect(segments.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(
        map.reduce((sum, { bytes }) => sum + bytes, 0),
      );
    }),
    { numRuns: 60 },
  );
});

test('consecutive ranges of one region become one segment', async () => {
  const map = [
    { region: 'm', offset: 0, bytes: 8192, address: 0 },
    { region: 'm', offset: 8192, bytes: 4096, address: 8192 },
    { region: 'm', offset: 16384, bytes: 4096, address: 12288 },
  ];
  const found = await layout(machine([['m', 8, 'ram']], { memoryMap: map }));
  expect(found.map(({ address, bytes }) => [address, bytes])).toEqual([
    [0, 12288],
    [12288, 4096],
  ]);
});

test.each([
  ['pc-q35-7.2', 2 * GIB],
  ['pc-i440fx-7.2', 3 * GIB],
])('without a map, memory of %s above its hole lies from 4 GiB on', async (machineType, low) => {
  const pages = (7 * GIB) / 2 / PAGE_SIZE + (machineType.includes('q35') ? 0 : (GIB * 2) / PAGE_SIZE);
  const found = await layout(machine([['pc.ram', pages, 'ram']], { machineType, mainRam: 'pc.ram' }));
  expect(found.map(({ address, bytes }) => [address, bytes])).toEqual([
    [0, low],
    [4 * GIB, pages * PAGE_SIZE - low],
  ]);
});

test('memory of unknown place is refused, and memory without one named', async () => {
  const regions: Regions = [
    ['m0', 4, 'ram'],
    ['m1', 4, 'ram'],
  ];
  const file = path.join(folder, 'unknown');
  await expect(exportElf(machine(regions, { mainRam: 'm0' }), file)).rejects.toMatchObject({
    code: 'CAPABILITY_MISSING',
    message: expect.stringContaining('m1') as string,
  });
  const map = [{ region: 'm0', offset: 0, bytes: 16384, address: 0 }];
  const report = await exportElf(machine(regions, { memoryMap: map }), file);
  expect(report.notes.join()).toMatch(/m1 lies at no address/);
  const raw = await exportRaw(machine(regions, { mainRam: 'm0' }), path.join(folder, 'raw'));
  expect(raw.notes.join()).toMatch(/m1 is not in the file/);
});
