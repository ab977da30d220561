import { createCodec } from '@fitdoc/codec';
import { diffPages } from '@fitdoc/diff';
import { PAGE_SIZE, type DeviceState, type MachineInfo } from '@fitdoc/interface';
import {
  writeCheckpoint,
  type BatchCodec,
  type CheckpointReference,
  type CheckpointSummary,
  type ContentItem,
  type EncodedPages,
  type NewCheckpointHeader,
} from '../../src/index.js';

/** A codec whose output never changes. */
export const plainCodec = await createCodec({ compressor: 'none' });

export function machine(pages: number): MachineInfo {
  return {
    id: 'guest-1',
    name: 'Guest 1',
    hypervisor: 'mock',
    scheme: 'mock',
    architecture: 'x86_64',
    regions: [{ name: 'ram', firstGfn: 0, pages, kind: 'ram', gpa: 0n }],
    platform: { machine: 'pc', cpus: 2 },
    disks: [{ name: 'vda', writable: true, sizeBytes: 1_048_576 }],
  };
}

export function header(pages: number, sequence = 0, parent?: CheckpointReference): NewCheckpointHeader {
  return {
    machine: machine(pages),
    sequence,
    ...(parent ? { parent: { id: parent.id, contentHash: parent.contentHash } } : {}),
    createdAtMs: 1_700_000_000_000 + sequence * 1000,
    capturedAtMs: 1_700_000_000_000 + sequence * 1000 - 5,
    kind: parent ? 'increment' : 'base',
    tool: 'fitdoc test',
  };
}

export interface Written {
  readonly bytes: Uint8Array;
  readonly summary: CheckpointSummary;
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  // Copied: a chunk may be a view of memory that its owner reuses.
  for await (const chunk of stream) chunks.push(chunk.slice());
  return new Uint8Array(Buffer.concat(chunks));
}

export async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield item;
}

export async function write(
  head: NewCheckpointHeader,
  items: Iterable<ContentItem>,
  codec: BatchCodec = plainCodec,
): Promise<Written> {
  const output = writeCheckpoint(head, each(items), { codec });
  return { bytes: await collect(output.stream), summary: await output.summary };
}

/** The changes that bring `image` to `next` as a content item, the image brought there; none when equal. */
export function changes(
  next: Uint8Array,
  image: Uint8Array,
  firstGfn = 0,
  codec = plainCodec,
): ContentItem[] {
  const batch = diffPages(next, image);
  if (batch.gfns.length === 0) return [];
  const gfns = batch.gfns.map((gfn) => gfn + firstGfn);
  const encoded: EncodedPages = codec.encode({ ...batch, gfns });
  return [{ type: 'batch', encoded, gfns }];
}

/** `pages` pages, of which the first is numbers, the second zero, and so on. */
export function memory(pages: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(pages * PAGE_SIZE);
  for (let page = 0; page < pages; page += 2) {
    for (let word = 0; word < 6; word += 1)
      bytes[page * PAGE_SIZE + word * 88] = (page + word * 7 + seed) & 255 || 1;
  }
  return bytes;
}

export function devices(seed = 1): DeviceState[] {
  const cpu = new Uint8Array(200).map((_, at) => (at * 31 + 7) & 255);
  cpu[9] = seed;
  return [
    { name: 'cpu/0', bytes: cpu },
    { name: 'rtc', bytes: Uint8Array.of(seed, 2, 3) },
    { name: 'none', bytes: new Uint8Array(0) },
  ];
}

/** A small base with everything in it that a checkpoint can hold, and its memory. */
export async function sampleBase(): Promise<Written & { image: Uint8Array }> {
  const image = new Uint8Array(8 * PAGE_SIZE);
  const next = memory(8);
  const first = changes(next.subarray(0, 3 * PAGE_SIZE), image.subarray(0, 3 * PAGE_SIZE));
  const second = changes(next.subarray(3 * PAGE_SIZE), image.subarray(3 * PAGE_SIZE), 3);
  const written = await write(header(8), [
    ...first,
    { type: 'deviceState', state: devices() },
    ...second,
    { type: 'extension', name: 'example.disks', bytes: new TextEncoder().encode('vda at generation 7') },
    { type: 'metrics', metrics: { pauseMs: 1.25 } },
    { type: 'metrics', metrics: { placedPages: 8 } },
  ]);
  return { ...written, image };
}

/** An increment to `sampleBase`: one word, a page turned to zero, a device register. */
export async function sampleIncrement(
  base: Written & { image: Uint8Array },
): Promise<Written & { image: Uint8Array }> {
  const image = base.image.slice();
  const next = image.slice();
  next[16] = 99;
  next.fill(0, 4 * PAGE_SIZE, 5 * PAGE_SIZE);
  const written = await write(header(8, 1, base.summary), [
    ...changes(next, image),
    { type: 'deviceState', state: devices(2), previous: devices() },
  ]);
  return { ...written, image };
}
