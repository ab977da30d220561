import { FitdocError, throwIfAborted, type DiskExtents } from '@fitdoc/interface';
import { BASE_ALLOCATION, NbdClient } from '@fitdoc/nbd';
import { CLUSTER_BYTES } from './tearing.js';
import { dataOf, dataOfTorn, dirtyOf, wholeBlocks, type Run } from './wanted.js';

/** Bytes of one read, and how many are under way: more bring nothing. */
const READ_BYTES = 2 ** 20;
const DEPTH = 4;

export interface ExportToRead {
  readonly path: string;
  readonly name: string;
  /** What was written since this bitmap began; undefined: all that is not zero. */
  readonly bitmap: string | undefined;
  /** Where QEMU tears snapshots: the export of what the filter copies, which is asked when there is no bitmap. */
  readonly torn: string | undefined;
  /** How long QEMU may send nothing, milliseconds. */
  readonly timeoutMs: number;
  /** For messages. */
  readonly disk: string;
}

/** The content of a snapshot that QEMU exports. CAPTURE_FAILED where QEMU gave the snapshot up. */
export async function* readExport(from: ExportToRead, signal: AbortSignal | undefined): DiskExtents {
  throwIfAborted(signal);
  const clients: NbdClient[] = [];
  const stop = (): void => clients.forEach((client) => client.close());
  signal?.addEventListener('abort', stop, { once: true });
  const open = async (name: string, context: string): Promise<NbdClient> => {
    const client = await NbdClient.connect(from.path, name, context, { signal, timeoutMs: from.timeoutMs });
    clients.push(client);
    throwIfAborted(signal);
    return client;
  };
  try {
    const { name, bitmap, torn } = from;
    const client = await open(name, bitmap === undefined ? BASE_ALLOCATION : `qemu:dirty-bitmap:${bitmap}`);
    const copies = bitmap === undefined && torn !== undefined ? await open(torn, BASE_ALLOCATION) : undefined;
    const all = copies === undefined ? dataOf(client) : dataOfTorn(client, copies);
    const runs = wholeBlocks(bitmap === undefined ? all : dirtyOf(client), client.size);
    yield* readRuns(client, runs, torn === undefined ? READ_BYTES : CLUSTER_BYTES);
  } catch (error) {
    throwIfAborted(signal);
    throw lost(from.disk, error);
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
}

/** No read crosses a multiple of `most`. */
async function* readRuns(client: NbdClient, runs: AsyncIterable<Run>, most: number): DiskExtents {
  const underWay: { readonly offset: number; readonly bytes: Promise<Buffer> }[] = [];
  const next = async () => {
    const { offset, bytes } = underWay.shift()!;
    return { offset, bytes: await bytes };
  };
  for await (const { offset, length } of runs) {
    let to: number;
    for (let at = offset; at < offset + length; at = to) {
      to = Math.min(at - (at % most) + most, offset + length);
      const bytes = client.read(at, to - at);
      // It surfaces when its turn comes.
      bytes.catch(() => undefined);
      underWay.push({ offset: at, bytes });
      if (underWay.length === DEPTH) yield await next();
    }
  }
  while (underWay.length > 0) yield await next();
}

function lost(disk: string, cause: unknown): FitdocError {
  return new FitdocError('CAPTURE_FAILED', `The content of disk ${disk} at the capture was lost.`, {
    cause,
    hint: 'The guest runs on and nothing is forgotten: the next checkpoint has it. Where diskDirectory is full or slow, choose another.',
    retryable: true,
    details: { disk },
  });
}
