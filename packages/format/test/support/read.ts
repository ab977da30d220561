import { applyBatch } from '@fitdoc/diff';
import { isFitdocError, PAGE_SIZE, totalPages, type DeviceState, type PageBatch } from '@fitdoc/interface';
import {
  bytesSource,
  openCheckpoint,
  readCheckpointStream,
  type CheckpointHeader,
  type CheckpointSummary,
  type Extension,
  type OpenOptions,
  type RangedSource,
} from '../../src/index.js';
import { plainCodec } from './sample.js';

export interface Contents {
  readonly header: CheckpointHeader;
  readonly summary: CheckpointSummary;
  readonly batches: PageBatch[];
  readonly deviceState: DeviceState[];
  readonly extensions: Required<Extension>[];
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
  return { header: reader.header, summary: reader.summary, batches, deviceState, extensions };
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
  let deviceState: DeviceState[] = [];
  for await (const item of readCheckpointStream(inChunks(bytes, chunk), { codec: plainCodec })) {
    if (item.type === 'header') Object.assign(contents, { header: item.header });
    if (item.type === 'batch') batches.push(await item.decode());
    if (item.type === 'deviceState') deviceState = await item.decode(previous);
    if (item.type === 'extension') extensions.push(item.extension);
    if (item.type === 'end') Object.assign(contents, { summary: item.summary });
  }
  return { ...(contents as Pick<Contents, 'header' | 'summary'>), batches, deviceState, extensions };
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
