import { createCodec } from '@fitdoc/codec';
import { diffPages } from '@fitdoc/diff';
import { PAGE_SIZE, type DeviceState } from '@fitdoc/interface';
import type { BatchCodec, CheckpointReference, ContentItem, NewCheckpointHeader } from '../../src/index.js';
import { plainCodec, write, type Written } from './sample.js';

/** A valid checkpoint of the published vectors. */
export interface ValidVector extends Written {
  readonly name: string;
  readonly about: string;
  /** The vectors that have to be replayed before it, base first. */
  readonly after: readonly string[];
  /** The guest's memory and device state that it shows. */
  readonly image: Uint8Array;
  readonly deviceState: readonly DeviceState[];
  /** Whether every writer gives these bytes: no compressor had a part in them. */
  readonly stable: boolean;
}

function header(pages: number, sequence: number, parent?: CheckpointReference): NewCheckpointHeader {
  return {
    machine: {
      id: 'vm-7',
      name: 'seven',
      hypervisor: 'mock',
      scheme: 'mock',
      architecture: 'x86_64',
      regions: [
        { name: 'ram', firstGfn: 0, pages: pages - 1, kind: 'ram', gpa: 0n },
        { name: 'bios', firstGfn: pages - 1, pages: 1, kind: 'rom', gpa: 0xffff_f000n },
      ],
      platform: { cpus: 1 },
      disks: [{ name: 'vda', writable: false }],
    },
    sequence,
    ...(parent ? { parent: { id: parent.id, contentHash: parent.contentHash } } : {}),
    createdAtMs: 1_767_225_600_000 + sequence * 60_000,
    capturedAtMs: 1_767_225_599_000 + sequence * 60_000,
    kind: parent ? 'increment' : 'base',
    tool: 'vectors 1',
  };
}

function items(next: Uint8Array, image: Uint8Array, codec: BatchCodec, slice: number): ContentItem[] {
  const list: ContentItem[] = [];
  for (let at = 0; at < next.length; at += slice * PAGE_SIZE) {
    const end = at + slice * PAGE_SIZE;
    const batch = diffPages(next.subarray(at, end), image.subarray(at, end));
    const gfns = batch.gfns.map((gfn) => gfn + at / PAGE_SIZE);
    if (gfns.length > 0)
      list.push({ type: 'batch', encoded: codec.encode({ ...batch, gfns }) as never, gfns });
  }
  return list;
}

const text = (value: string) => new TextEncoder().encode(value);
const cpu = (counter: number): DeviceState[] => [
  { name: 'cpu', bytes: new Uint8Array(64).fill(0xc0).fill(counter, 8, 9) },
  { name: 'rtc', bytes: text(`tick ${counter}`) },
];

/** Three states of a guest of ten pages: after boot, after some writes, after a page was zeroed. */
function guest(): [Uint8Array, Uint8Array, Uint8Array] {
  const one = new Uint8Array(10 * PAGE_SIZE);
  one.set(text('hello from page 0'), 0);
  for (let word = 0; word < 40; word += 1) one[2 * PAGE_SIZE + word * 96] = word + 1;
  one.set(text('last words of page 5'), 6 * PAGE_SIZE - 24);
  one.set(text('bios'), 9 * PAGE_SIZE);
  const two = one.slice();
  two.set(text('HELLO'), 0);
  two.set(text('a new page'), 7 * PAGE_SIZE + 1000);
  const three = two.slice().fill(0, 2 * PAGE_SIZE, 3 * PAGE_SIZE);
  return [one, two, three];
}

/** The valid vectors, chain first. */
export async function validVectors(): Promise<ValidVector[]> {
  const [one, two, three] = guest();
  const image = new Uint8Array(one.length);
  const plain = (next: Uint8Array) => items(next, image, plainCodec, 4);
  const state = (counter: number): ContentItem => ({
    type: 'deviceState',
    state: cpu(counter),
    ...(counter > 1 && { previous: cpu(counter - 1) }),
  });
  const base = await write(header(10, 1), [
    ...plain(one),
    state(1),
    { type: 'metrics', metrics: { pauseMs: 2.5 } },
    { type: 'extension', name: 'example.note', bytes: text('first light') },
  ]);
  const second = await write(header(10, 2, base.summary), [...plain(two), state(2)]);
  const third = await write(header(10, 3, second.summary), [...plain(three), state(3)]);
  const merged = await write({ ...header(10, 3, base.summary), supersedes: [third.summary.contentHash] }, [
    ...items(three, one.slice(), plainCodec, 10),
    { type: 'deviceState', state: cpu(3), previous: cpu(1) },
  ]);
  const derived = (role: 'merged' | 'base', parent?: CheckpointReference): NewCheckpointHeader => ({
    ...header(10, 3, parent),
    ...{ state: third.summary.contentHash, role },
    merges: [...(parent ? [] : [base]), second, third].map(({ summary }) => summary.contentHash),
  });
  const thinned = await write(derived('merged', base.summary), [
    ...items(three, one.slice(), plainCodec, 10),
    { type: 'deviceState', state: cpu(3), previous: cpu(1) },
  ]);
  const forward = await write(derived('base'), [
    ...items(three, new Uint8Array(three.length), plainCodec, 10),
    { type: 'deviceState', state: cpu(3) },
  ]);
  const disks = await machines();
  const tiny = new Uint8Array(2 * PAGE_SIZE);
  tiny.set(text('a page'), 8);
  const minimal = await write(header(2, 0), items(tiny, new Uint8Array(tiny.length), plainCodec, 2));
  const stable = { stable: true, after: [] as string[] };
  const chain = { about: 'Increment with words, a new page and a changed device state.', stable: true };
  return [
    {
      ...base,
      name: 'base',
      about: 'Base with batches, device state, extension and metrics.',
      ...stable,
      image: one,
      deviceState: cpu(1),
    },
    { ...second, name: 'increment-1', ...chain, after: ['base'], image: two, deviceState: cpu(2) },
    {
      ...third,
      name: 'increment-2',
      ...chain,
      about: 'Increment in which a page became zero.',
      after: ['base', 'increment-1'],
      image: three,
      deviceState: cpu(3),
    },
    {
      ...merged,
      name: 'merged',
      about: 'The two increments in one, which supersedes the second of them.',
      stable: true,
      after: ['base'],
      image: three,
      deviceState: cpu(3),
    },
    {
      ...thinned,
      name: 'derived-merged',
      about:
        'The two increments in one, which shows the state of the second of them: its device state alone.',
      stable: true,
      after: ['base'],
      image: three,
      deviceState: cpu(3),
    },
    {
      ...forward,
      name: 'derived-base',
      about: 'The base and both increments in one: a base that shows the state of the last.',
      ...stable,
      image: three,
      deviceState: cpu(3),
    },
    {
      ...minimal,
      name: 'minimal',
      about: 'The example of the specification: one page, one word.',
      ...stable,
      image: tiny,
      deviceState: [],
    },
    {
      ...(await write(header(2, 0), [])),
      name: 'empty',
      about: 'Base of a guest whose memory is all zero.',
      ...stable,
      image: new Uint8Array(2 * PAGE_SIZE),
      deviceState: [],
    },
    ...disks,
    ...(await Promise.all(['lz4', 'zstd'].map((name) => compressed(name, one)))),
  ];
}

/** Checkpoints of a small machine with its disks: a base, and an increment in which one disk grew and one is full anew. */
async function machines(): Promise<ValidVector[]> {
  const memory = new Uint8Array(2 * PAGE_SIZE);
  memory.set(text('a page'), 8);
  const root = new Uint8Array(6 * PAGE_SIZE);
  root.set(text('a superblock'), 1024);
  root.set(text('a file'), 4 * PAGE_SIZE + 100);
  const vars = new Uint8Array(PAGE_SIZE).fill(0xff, 0, 600);
  const grown = new Uint8Array(8 * PAGE_SIZE);
  grown.set(root);
  grown.set(text('A FILE'), 4 * PAGE_SIZE + 100);
  grown.set(text('the end'), 7 * PAGE_SIZE);
  const blocks = (disk: number, next: Uint8Array, image: Uint8Array): ContentItem[] =>
    items(next, image, plainCodec, 4).map((item) =>
      item.type === 'batch' ? { ...item, type: 'blocks', disk, span: 0 } : item,
    );
  const zeros = (like: Uint8Array) => new Uint8Array(like.length);
  const base = await write(
    {
      ...header(2, 1),
      disks: [
        { name: 'vda', sizeBytes: root.length, kind: 'full' },
        { name: 'vars', sizeBytes: 600, kind: 'full' },
      ],
    },
    [
      ...items(memory, zeros(memory), plainCodec, 2),
      ...blocks(0, root, zeros(root)),
      ...blocks(1, vars, zeros(vars)),
    ],
  );
  const before = zeros(grown);
  before.set(root);
  const next = await write(
    {
      ...header(2, 2, base.summary),
      disks: [
        { name: 'vda', sizeBytes: grown.length, kind: 'increment' },
        { name: 'vars', sizeBytes: 600, kind: 'full' },
      ],
    },
    [...blocks(0, grown, before), ...blocks(1, vars, zeros(vars))],
  );
  const stable = { image: memory, deviceState: [], stable: true };
  return [
    { ...base, ...stable, name: 'disks-base', about: 'Base of a machine with two disks.', after: [] },
    {
      ...next,
      ...stable,
      name: 'disks-increment',
      about: 'Increment without a page of memory: one disk has grown, one is full anew.',
      after: ['disks-base'],
    },
  ];
}

async function compressed(compressor: string, guestMemory: Uint8Array): Promise<ValidVector> {
  const codec = await createCodec({ compressor });
  const image = guestMemory.slice();
  const line = text('This page is full of the same line, which is what compressors like. ');
  for (let at = PAGE_SIZE; at < 2 * PAGE_SIZE; at += 1) image[at] = line[at % line.length] ?? 0;
  for (let word = 0; word < 100; word += 1) image[3 * PAGE_SIZE + word * 16] = 7;
  const list = items(image, new Uint8Array(image.length), codec, 10);
  const written = await write(header(10, 1), [...list, { type: 'deviceState', state: cpu(1) }], codec);
  const about = `Base whose batches are compressed with ${compressor}; another library may give other bytes.`;
  return {
    ...written,
    name: `base-${compressor}`,
    about,
    after: [],
    image,
    deviceState: cpu(1),
    stable: false,
  };
}
