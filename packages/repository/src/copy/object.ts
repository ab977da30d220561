import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { readCheckpointStream } from '@fitdoc/format';
import { FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { shortId, type CheckpointEntry } from '../catalogue/entry.js';

/** Bytes that are read of an object at a time. */
const CHUNK_BYTES = 4 * 2 ** 20;

/** Whether an error says that the object is not what it was, and not that it could not be reached. */
export function isDamage(error: unknown): error is FitdocError {
  return isFitdocError(error) && /^(FORMAT|CODEC|REPOSITORY_DAMAGED)/.test(error.code);
}

/** The object's bytes, as they come; the reader ends with an error unless all of them check out. */
export function checkedObject(
  store: Store,
  entry: CheckpointEntry,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array> {
  return verified(objectChunks(store, entry, signal), entry, signal);
}

/** Reads the whole object. REPOSITORY_DAMAGED, FORMAT_*, CODEC_* unless it is as it was written. */
export async function checkObject(
  store: Store,
  entry: CheckpointEntry,
  { signal }: CallOptions,
): Promise<void> {
  const hash = await contentHashOf(objectChunks(store, entry, signal), signal);
  if (hash !== entry.objectHash) throw changed(entry);
}

async function* objectChunks(
  store: Store,
  entry: CheckpointEntry,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < entry.bytes; offset += CHUNK_BYTES) {
    yield await store.get(entry.key, { offset, length: CHUNK_BYTES }, signal ? { signal } : {});
  }
}

/** Passes chunks on, and throws before the last has been taken as complete unless all of them check out. */
async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  entry: CheckpointEntry,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const tee = new PassThrough({ highWaterMark: CHUNK_BYTES });
  const verdict = contentHashOf(tee, signal);
  // Its failure is thrown below, where it is awaited; a failure of the chunks themselves comes first.
  verdict.catch(() => tee.resume());
  try {
    for await (const chunk of chunks) {
      if (!tee.write(chunk)) await Promise.race([once(tee, 'drain'), verdict]);
      yield chunk;
    }
    tee.end();
    if ((await verdict) === entry.objectHash) return;
  } finally {
    tee.destroy();
  }
  throw changed(entry);
}

async function contentHashOf(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  let hash: string | undefined;
  for await (const item of readCheckpointStream(chunks, signal ? { signal } : {})) {
    if (item.type === 'end') hash = item.summary.contentHash;
    if (item.type === 'batch' || item.type === 'blocks') await item.decode();
  }
  return hash;
}

function changed(entry: CheckpointEntry): FitdocError {
  return new FitdocError('REPOSITORY_DAMAGED', `The object of checkpoint ${shortId(entry.id)} was changed.`, {
    hint: 'Bring it back from a copy.',
    details: { key: entry.key, id: entry.id },
  });
}
