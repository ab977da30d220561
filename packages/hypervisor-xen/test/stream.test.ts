import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFitdocError, PAGE_SIZE, type ErrorCode } from '@fitdoc/interface';
import { PfnSpace, readXenStream, regionsFor, writeXenStream, xenStream } from '../src/index.js';
import { LIBXC, LIBXL } from '../src/stream/layout.js';
import { encodeRecord } from '../src/stream/writer.js';
import {
  checkpointTail,
  chunked,
  pageRecord,
  PlainMemory,
  sourceOf,
  streamHead,
  type Page,
} from './streams.js';

const KIB = 4096 * 4;

async function read(bytes: Uint8Array, size: () => number = () => 65536) {
  let memory!: PlainMemory;
  const content = await readXenStream(chunked(bytes, size), {
    sink: (regions) => (memory = new PlainMemory(regions.at(-1)!.firstGfn + regions.at(-1)!.pages)),
  });
  return { content, memory };
}

async function failure(bytes: Uint8Array): Promise<ErrorCode | undefined> {
  try {
    await read(bytes);
    return undefined;
  } catch (error) {
    if (isFitdocError(error)) return error.code;
    throw error;
  }
}

const filled = (pfn: number, value: number): Page => ({
  pfn,
  type: 0,
  bytes: new Uint8Array(PAGE_SIZE).fill(value),
});

const anyPage = fc
  .record({
    pfn: fc.oneof(fc.nat(300), fc.constantFrom(0xfc000, 0xfefff, 0xfeff8, 0xf5000, 0x100003)),
    type: fc.constantFrom(0, 0, 0, 0, 1, 0xd, 0xe, 0xf),
    value: fc.nat(255),
  })
  .map((page) => ({ ...page, value: page.type < 0xd ? page.value : 0 }));

// Only numbers are generated, so that a counterexample can be read.
const pageOf = ({ pfn, type, value }: { pfn: number; type: number; value: number }): Page =>
  type < 0xd ? { ...filled(pfn, value), type } : { pfn, type };
const record = (maxLength: number) =>
  fc.uniqueArray(anyPage, { minLength: 1, maxLength, selector: (page) => page.pfn });

describe('reading a Xen stream', () => {
  it('gives what was sent last, whatever the chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(record(12), { minLength: 1, maxLength: 8 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9000 })),
        async (records, sizes) => {
          const parts = [streamHead('pvh', KIB)];
          const expected = new Map<number, number>();
          records.forEach((pages, index) => {
            parts.push(pageRecord(pages.map(pageOf)));
            for (const page of pages) expected.set(page.pfn, page.value);
            if (index % 3 === 2) parts.push(checkpointTail(index, false));
          });
          parts.push(checkpointTail(99, true));
          const { content, memory } = await read(Buffer.concat(parts), () => Number(sizes.next().value));
          const space = new PfnSpace(content.regions);
          const outside = content.deviceState.find((state) => state.name === 'xen/outside');
          for (const [pfn, value] of expected) {
            const gfn = space.gfnOf(pfn);
            if (gfn >= 0) expect(memory.bytes[gfn * PAGE_SIZE + 17]).toBe(value);
            else if (value !== 0) expect(outside).toBeDefined();
          }
          expect(content.deviceState.find((state) => state.name.endsWith('hvm-context'))?.bytes[3]).toBe(99);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('writes a stream that reads back the same', async () => {
    await fc.assert(
      fc.asyncProperty(record(60), async (pages) => {
        const first = await read(
          Buffer.concat([streamHead('pvh', KIB), pageRecord(pages.map(pageOf)), checkpointTail(5, false)]),
        );
        const chunks: Uint8Array[] = [];
        for await (const chunk of xenStream(sourceOf(first.content, first.memory)))
          chunks.push(chunk.slice());
        const second = await read(Buffer.concat(chunks));
        expect(second.content.deviceState).toEqual(first.content.deviceState);
        expect(Buffer.compare(second.memory.bytes, first.memory.bytes)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps the two layers apart, though their numbers collide', async () => {
    const vcpu = encodeRecord(LIBXC.X86_PV_VCPU_BASIC, new Uint8Array(40).fill(3));
    const part = (value: number, last: boolean) =>
      Buffer.concat([
        pageRecord([filled(1, value)]),
        vcpu,
        encodeRecord(last ? LIBXC.END : LIBXC.CHECKPOINT),
        encodeRecord(LIBXL.EMULATOR_CONTEXT, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 9])),
        encodeRecord(last ? LIBXL.END : LIBXL.CHECKPOINT_END),
      ]);
    const { content, memory } = await read(
      Buffer.concat([streamHead('pv', KIB), part(1, false), part(2, true)]),
    );
    expect(content.checkpoints).toBe(2);
    expect(memory.bytes[PAGE_SIZE]).toBe(2);
    expect(content.deviceState.map((state) => state.name)).toEqual([
      'xen/config',
      'xen/image',
      'xen/before/000/libxc-11/x86-cpuid-policy',
      'xen/before/001/libxc-10/static-data-end',
      'xen/after/000/libxc-04/x86-pv-vcpu-basic',
      'xen/after/001/libxl-03/emulator-context',
      'xen/pages',
    ]);
  });

  it('renames the domain on request', async () => {
    const { content, memory } = await read(
      Buffer.concat([streamHead('pvh', KIB), pageRecord([filled(1, 1)]), checkpointTail(5, true)]),
    );
    const chunks: Uint8Array[] = [];
    const sink = { write: async (chunk: Uint8Array) => chunks.push(chunk.slice()) };
    const written = await writeXenStream(sourceOf(content, memory), sink, { name: 'other' });
    const bytes = Buffer.concat(chunks);
    expect(bytes.length).toBe(written);
    expect((await read(bytes)).content.config.name).toBe('other');
  });
});

describe('the balloon', () => {
  it.each([
    { pages: 2, target: 8 },
    { pages: 3, target: 12 },
  ])('a target of 8 KiB is $target KiB when the domain has $pages pages', async ({ pages, target }) => {
    const held = Array.from({ length: pages }, (_, pfn) => filled(pfn, 1));
    const bytes = [
      streamHead('pvh', KIB, 8),
      pageRecord([...held, filled(0xfefff, 1)]),
      checkpointTail(1, true),
    ];
    const { content, memory } = await read(Buffer.concat(bytes));
    const written: Uint8Array[] = [];
    for await (const chunk of xenStream(sourceOf(content, memory))) written.push(chunk.slice());
    expect((await read(Buffer.concat(written))).content.config.memoryKiB).toBe(target);
  });

  it('counts a screen in, which has a region of its own', async () => {
    const pages = [filled(0, 1), filled(1, 2), filled(0xf1000, 3)];
    const bytes = [streamHead('hvm', KIB, 8, 16), pageRecord(pages), checkpointTail(1, true)];
    const { content, memory } = await read(Buffer.concat(bytes));
    expect(content.deviceState.map((each) => each.name)).not.toContain('xen/outside');
    const written: Uint8Array[] = [];
    for await (const chunk of xenStream(sourceOf(content, memory))) written.push(chunk.slice());
    expect((await read(Buffer.concat(written))).content.config.memoryKiB).toBe(12);
  });
});

describe('a damaged Xen stream', () => {
  const good = Buffer.concat([
    streamHead('pvh', KIB),
    pageRecord([filled(1, 1), filled(2, 2)]),
    checkpointTail(1, true),
  ]);
  const headLength = streamHead('pvh', KIB).length;

  it('is told from a foreign file', async () => {
    expect(await failure(Buffer.alloc(200, 7))).toBe('FORMAT_FOREIGN');
  });

  it('is told where it is cut, at every length', async () => {
    for (let length = 0; length < good.length; length += length < 600 ? 1 : 97) {
      expect(await failure(good.subarray(0, length))).toBe('FORMAT_TRUNCATED');
    }
  });

  it('never yields anything but a typed error, whichever byte changes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(headLength + 64), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = Buffer.from(good);
        bytes[at] = bytes[at]! ^ flip;
        await failure(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['a page count that does not fit', 8, 3, 'FORMAT_DAMAGED'],
    ['a page beyond 16 TiB', 20, 1, 'FORMAT_DAMAGED'],
    ['an unknown record', 0, 0x40, 'FORMAT_UNSUPPORTED'],
    ['a record of 4 GiB', 7, 0xff, 'FORMAT_DAMAGED'],
  ])('with %s', async (_what, offset, value, code) => {
    const bytes = Buffer.from(good);
    bytes[headLength + offset] = value;
    expect(await failure(bytes)).toBe(code);
  });

  it('with bytes behind its end', async () => {
    expect(await failure(Buffer.concat([good, Buffer.alloc(1)]))).toBe('FORMAT_DAMAGED');
  });
});

describe('the pfn space', () => {
  it('goes there and back, ascending', () => {
    const regions = regionsFor({ guestType: 'pvh', maxMemoryKiB: 5 * 1024 * 1024 });
    const space = new PfnSpace(regions);
    const last = regions.at(-1)!;
    let before = -1;
    for (let gfn = 0; gfn < last.firstGfn + last.pages; gfn += 997) {
      const pfn = space.pfnOf(gfn);
      expect(space.gfnOf(pfn)).toBe(gfn);
      expect(pfn).toBeGreaterThan(before);
      before = pfn;
    }
    expect(regions.map((region) => region.name)).toEqual(['ram', 'firmware', 'special', 'high']);
    expect(space.gfnOf(0xf8000)).toBe(-1);
    expect(space.contiguous(0xeffff, 5)).toBe(1);
    expect(space.contiguous(0xf0000, 0xffff)).toBe(0xc000);
  });
});
