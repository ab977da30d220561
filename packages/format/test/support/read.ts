import { applyBatch } from '@fitdoc/diff';
import { isFitdocError, PAGE_SIZE, totalPages, type DeviceState, type PageBatch } from '@fitdoc/interface';
import {
  bytesSource,
  openCheckpoint,
  readCheckpointStream,
  type CheckpointHeader,
  type CheckpointSummary,
  type DiskSpan,
  type Extension,
  type OpenOptions,
  type RangedSource,
  type StoredDisk,
} from '../../src/index.js';
import { plainCodec } from './sample.js';

export interface Contents {
  readonly header: CheckpointHeader;
  readonly summary: CheckpointSummary;
  readonly batches: PageBatch[];
  readonly deviceState: DeviceState[];
  readonly extensions: Required<Extension>[];
  /** Batches of each disk's blocks, with the number of the block that page 0 of it stands for. */
  readonly disks: DiskBatches[];
}

export interface DiskBatches extends StoredDisk {
  readonly batches: { readonly firstBlock: number; readonly batch: PageBatch }[];
}

/** Everything in a checkpoint, by random access. */
export async function readAll(
  source: Uint8Array | RangedSource,
  previous?: readonly DeviceState[],
  options: OpenOptions = {},
): Promise<Contents> {
  const ranged = source instanceof Uint8Array ? bytesSource(source) : source;
  const reader = await openCheckpoint(ranged, { codec: plainCodec, ...options });
  const batches = await Promise.all(reader.batches.map((_, number) => reader.readBatch(number)));
  const deviceState = await reader.readDeviceState(previous && (async () => previous));
  const extensions = await reader.readExtensions();
  const disks = await Promise.all(
    reader.disks.map(async ({ spans, ...disk }) => ({
      ...disk,
      batches: (await Promise.all(spans.map((span) => batchesOf(span)))).flat(),
    })),
  );
  return { header: reader.header, summary: reader.summary, batches, deviceState, extensions, disks };
}

async function batchesOf(span: DiskSpan): Promise<DiskBatches['batches']> {
  const encoded = await Promise.all(span.batches.map((_, number) => span.readEncodedBatch(number)));
  return encoded.map((bytes) => ({ firstBlock: span.firstBlock, batch: plainCodec.decode(bytes) }));
}

/** What a chain of checkpoints, base first, says of a disk. */
export async function replayDisk(
  chain: readonly (Uint8Array | RangedSource)[],
  name: string,
): Promise<Uint8Array> {
  let image = new Uint8Array(0);
  for (const link of chain) {
    const disk = (await readAll(link)).disks.find((each) => each.name === name);
    if (!disk) continue;
    const next = new Uint8Array(Math.ceil(disk.sizeBytes / PAGE_SIZE) * PAGE_SIZE);
    if (disk.kind === 'increment') next.set(image.subarray(0, next.length));
    for (const { firstBlock, batch } of disk.batches)
      applyBatch(batch, next.subarray(firstBlock * PAGE_SIZE));
    image = next;
  }
  return image;
}

export async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Everything in a checkpoint, from its first byte to its last. */
export async function streamAll(
  bytes: Uint8Array,
  previous?: readonly DeviceState[],
  chunk = 1000,
): Promise<Contents> {
  const contents: Partial<Contents> = {};
  const batches: PageBatch[] = [];
  const extensions: Required<Extension>[] = [];
  const disks: DiskBatches[] = [];
  let deviceState: DeviceState[] = [];
  for await (const item of readCheckpointStream(inChunks(bytes, chunk), { codec: plainCodec })) {
    if (item.type === 'header') {
      Object.assign(contents, { header: item.header });
      disks.push(...(item.header.disks ?? []).map((disk) => ({ ...disk, batches: [] })));
    }
    if (item.type === 'blocks') {
      const disk = disks.find(({ name }) => name === item.disk.name);
      disk?.batches.push({ firstBlock: item.firstBlock, batch: await item.decode() });
    }
    if (item.type === 'batch') batches.push(await item.decode());
    if (item.type === 'deviceState') deviceState = await item.decode(previous);
    if (item.type === 'extension') extensions.push(item.extension);
    if (item.type === 'end') Object.assign(contents, { summary: item.summary });
  }
  return { ...(contents as Pick<Contents, 'header' | 'summary'>), batches, deviceState, extensions, disks };
}

/** The memory that a chain of checkpoints, base first, says. */
export async function replay(chain: readonly (Uint8Array | RangedSource)[]): Promise<Uint8Array> {
  let image: Uint8Array | undefined;
  for (const link of chain) {
    const ranged = link instanceof Uint8Array ? bytesSource(link) : link;
    const reader = await openCheckpoint(ranged, { codec: plainCodec });
    image ??= new Uint8Array(totalPages(reader.header.machine.regions) * PAGE_SIZE);
    for (const number of reader.batches.keys()) applyBatch(await reader.readBatch(number), image);
  }
  return image ?? new Uint8Array(0);
}

/** The code with which `run` fails: of a FitdocError; anything else, or success, is described. */
export async function failure(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return 'no error';
  } catch (error) {
    return isFitdocError(error) ? error.code : `untyped: ${String(error)}`;
  }
}
