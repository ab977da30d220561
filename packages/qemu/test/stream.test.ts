import fc from 'fast-check';
import { isFitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { describe, expect, test } from 'vitest';
import { ByteQueue } from '../src/stream/byte-queue.js';
import { readCheckpoint, readRequest } from '../src/stream/checkpoint.js';
import { readPrecopy } from '../src/stream/precopy.js';
import { SectionReader, type StreamHeader } from '../src/stream/sections.js';
import { cut, feed } from './support/parse.js';
import { fullSection, StreamBuilder, type Record } from './support/stream-builder.js';

const BLOCKS = [
  ['pc.ram', 40],
  ['0000:00:02.0/vga.vram', 8],
  ['pc.bios', 4],
] as const;
const FIRST = new Map([
  ['pc.ram', 0],
  ['0000:00:02.0/vga.vram', 40],
  ['pc.bios', 48],
]);
const PAGES = 52;

class Memory {
  readonly bytes = new Uint8Array(PAGES * PAGE_SIZE).fill(0xee);
  reserve = (): boolean => true;
  place = (gfn: number): Uint8Array => this.bytes.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE);
  zero = (gfn: number, count: number): void =>
    void this.bytes.fill(0, gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
}

interface Decoded {
  readonly header: StreamHeader;
  readonly memory: Memory;
  readonly states: Uint8Array[];
}

function decode(bytes: Uint8Array, checkpoints: number, sizes: readonly number[] = [65536]): Decoded {
  const queue = new ByteQueue();
  const chunks = cut(bytes, sizes);
  const sections = new SectionReader(queue);
  const memory = new Memory();
  const header = feed(sections.readHeader(), queue, chunks);
  const states = [feed(readPrecopy(queue, sections, memory), queue, chunks)];
  for (let i = 0; i < checkpoints; i++) {
    feed(readRequest(queue), queue, chunks);
    const times = { begun: 0, memory: 0, devices: 0 };
    states.push(feed(readCheckpoint(queue, sections, memory, times), queue, chunks));
  }
  return { header, memory, states };
}

function apply(expected: Memory, records: readonly Record[]): void {
  for (const { block, page, fill } of records) expected.place(FIRST.get(block)! + page).fill(fill);
}

const record: fc.Arbitrary<Record> = fc
  .constantFrom(...BLOCKS)
  .chain(([block, pages]) =>
    fc.record({ block: fc.constant(block), page: fc.nat(pages - 1), fill: fc.nat(255), zero: fc.boolean() }),
  );
const records = fc.array(record, { maxLength: 12 });

function whole(): { bytes: Uint8Array; expected: Memory; states: Uint8Array[] } {
  const rounds: Record[][] = [
    [
      { block: 'pc.ram', page: 3, fill: 7 },
      { block: 'pc.ram', page: 4, fill: 0, zero: true },
      { block: 'pc.bios', page: 1, fill: 9 },
    ],
    [{ block: 'pc.bios', page: 2, fill: 5 }],
  ];
  return build(rounds[0]!, [], [rounds[1]!], new Uint8Array([1, 2, 3]));
}

function build(
  first: readonly Record[],
  second: readonly Record[],
  checkpoints: readonly (readonly Record[])[],
  fill: Uint8Array,
  section = 2,
): { bytes: Uint8Array; expected: Memory; states: Uint8Array[] } {
  const builder = new StreamBuilder(BLOCKS, section).header().ram(2, first).command(11).ram(3, second);
  const states = [builder.devices(fill)];
  for (const records of checkpoints) states.push(builder.checkpoint(records, fill));
  const expected = new Memory();
  for (const part of [first, second, ...checkpoints]) apply(expected, part);
  return { bytes: builder.out.take(), expected, states };
}

describe('a stream', () => {
  test('is read to the same memory and devices however it is cut', () => {
    fc.assert(
      fc.property(
        records,
        records,
        fc.array(records, { maxLength: 3 }),
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom(1, 2, 7),
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
        (first, second, checkpoints, fill, section, sizes) => {
          const { bytes, expected, states } = build(first, second, checkpoints, fill, section);
          const decoded = decode(bytes, checkpoints.length, sizes);
          expect(Buffer.compare(decoded.memory.bytes, expected.bytes)).toBe(0);
          expect(decoded.states.map((state) => Buffer.from(state))).toEqual(
            states.map((state) => Buffer.from(state)),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  test('is read byte by byte', () => {
    const { bytes, expected } = whole();
    expect(Buffer.compare(decode(bytes, 1, [1]).memory.bytes, expected.bytes)).toBe(0);
  });

  test('names its machine type and blocks', () => {
    const { header } = decode(whole().bytes, 1);
    expect(header.machineType).toBe('pc-test1');
    expect(header.blocks.map(({ name, size, firstGfn }) => [name, size / PAGE_SIZE, firstGfn])).toEqual([
      ['pc.ram', 40, 0],
      ['0000:00:02.0/vga.vram', 8, 40],
      ['pc.bios', 4, 48],
    ]);
    expect(Buffer.from(header.configuration).toString('latin1')).toBe('\x07\0\0\0\x08pc-test1');
  });

  test('continues a block across sections and checkpoints', () => {
    const page = (index: number): Record => ({ block: 'pc.bios', page: index, fill: index + 1 });
    const { bytes, expected } = build([page(0)], [page(1)], [[page(2)], [page(3)]], new Uint8Array(0));
    expect(Buffer.compare(decode(bytes, 2).memory.bytes, expected.bytes)).toBe(0);
  });

  test('gives device state that holds what looks like its end', () => {
    // EOF, description type and a length that leads nowhere; and a footer before it.
    const trap = new Uint8Array([0x7e, 0, 0, 0, 3, 0, 6, 0, 0, 0, 4, 0x7b, 0x22, 1, 1, 1, 1, 1]);
    const { bytes, states } = build([], [], [], trap);
    expect(Buffer.from(decode(bytes, 0).states[0]!)).toEqual(Buffer.from(states[0]!));
  });
});

describe('a damaged stream', () => {
  test('is refused or decoded wherever a byte is changed, never anything else', () => {
    const { bytes } = whole();
    // Page contents carry no structure; the bytes around them do.
    const places = [...Array(bytes.length).keys()].filter(
      (at) => at < 200 || at % 97 === 0 || bytes[at] !== bytes[at - 1],
    );
    let refused = 0;
    for (const at of places) {
      const changed = bytes.slice();
      changed[at]! ^= 0x41;
      try {
        decode(changed, 1);
      } catch (error) {
        const early = error instanceof Error && error.message === 'the stream ended early';
        if (!early && !isFitdocError(error, 'PROTOCOL_ERROR')) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  test('is waited for, not invented, wherever it is cut off', () => {
    const { bytes } = whole();
    for (let length = 0; length < bytes.length; length += length < 300 ? 1 : 61)
      expect(() => decode(bytes.subarray(0, length), 1)).toThrow('the stream ended early');
  });

  test.each([
    ['a page outside of its block', (b: StreamBuilder) => b.ram(3, [{ block: 'pc.bios', page: 4, fill: 1 }])],
    ['a block that was not listed', (b: StreamBuilder) => b.ram(3, [{ block: 'other', page: 0, fill: 1 }])],
    ['a foreign section among RAM', (b: StreamBuilder) => b.out.byte(9)],
    [
      'a page that continues no block',
      (b: StreamBuilder) => {
        b.out.byte(3);
        b.out.uint32(2);
        b.out.uint64(0x28);
      },
    ],
    [
      'a compressed page',
      (b: StreamBuilder) => {
        b.out.byte(3);
        b.out.uint32(2);
        b.out.uint64(0x100);
        b.out.named('pc.ram');
      },
    ],
    [
      'a section of another device',
      (b: StreamBuilder) => {
        b.out.byte(2);
        b.out.uint32(9);
      },
    ],
  ])('is refused for %s', (_, spoil) => {
    const builder = new StreamBuilder(BLOCKS).header();
    spoil(builder);
    builder.out.bytes(new Uint8Array(8192));
    expect(() => decode(builder.out.take(), 0)).toThrow(expect.objectContaining({ code: 'PROTOCOL_ERROR' }));
  });

  test('is refused when its magic, version or block list is wrong', () => {
    const { bytes } = whole();
    for (const at of [0, 7, 8]) {
      const changed = bytes.slice();
      changed[at] = 0x99;
      expect(() => decode(changed, 1)).toThrow(expect.objectContaining({ code: 'PROTOCOL_ERROR' }));
    }
    for (const blocks of [
      [
        ['a', 1],
        ['a', 2],
      ],
      [['', 1]],
    ] as const)
      expect(() => decode(new StreamBuilder(blocks).header().out.take(), 0)).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_ERROR' }),
      );
  });
});

test('sections of devices that come ahead of memory are kept, in front of the others, wherever they stand', () => {
  // Bodies with footers of other sections in them, and with ends of their own that no section follows.
  const body = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constant(Uint8Array.of(0x7e, 0, 0, 0, 9)),
      fc.constant(Uint8Array.of(0x7e, 0, 0, 0, 61, 0x55)),
      fc.constant(new Uint8Array(40)),
    ),
    { maxLength: 5 },
  );
  const bodies = fc.array(body, { maxLength: 3 });
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(bodies, bodies, sizes, (ahead, behind, chunks) => {
      const built = (all: readonly Uint8Array[][], from: number): Uint8Array[] =>
        all.map((parts, index) => fullSection(from + index, 'virtio-mem-early', Buffer.concat(parts)));
      const [before, after] = [built(ahead, 60), built(behind, 70)];
      const builder = new StreamBuilder(BLOCKS).header(before, after);
      builder.ram(2, [{ block: 'pc.ram', page: 3, fill: 7 }]);
      builder.ram(3, [{ block: 'pc.bios', page: 1, fill: 9 }]);
      const devices = builder.devices(new Uint8Array([1, 2, 3]));
      const increment = builder.checkpoint([], new Uint8Array([4]));
      const { header, memory, states } = decode(builder.out.take(), 1, chunks);
      expect(header.blocks).toHaveLength(3);
      expect(memory.bytes[3 * PAGE_SIZE]).toBe(7);
      expect(Buffer.from(states[0]!)).toEqual(Buffer.concat([...before, ...after, devices]));
      expect(Buffer.from(states[1]!)).toEqual(Buffer.from(increment));
    }),
    { numRuns: 60 },
  );
});
