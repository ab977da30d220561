import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { readCheckpointStream } from '@fitdoc/format';
import { FitdocError, throwIfAborted, type CallOptions, type Store } from '@fitdoc/interface';
import { shortId, type CheckpointEntry } from './entry.js';
import type { Repository } from './repository.js';

/** Bytes that are read of an object at a time. */
const CHUNK_BYTES = 4 * 2 ** 20;

export interface CopyOptions extends CallOptions {
  /** Take the tags of what is copied along. Default true. */
  readonly tags?: boolean;
}

export interface CopyReport {
  readonly copied: readonly CheckpointEntry[];
  /** Those that the other repository had already. */
  readonly present: readonly CheckpointEntry[];
  readonly bytes: number;
  readonly tags: readonly string[];
}

/**
 * Copies checkpoints with all that they build on into another repository, base first, so that at every moment
 * each checkpoint there has its whole chain. Every record is verified on its way: an object that is damaged is
 * not stored. What is there already is left out, so a copy that was broken off goes on where it stopped.
 * Errors: FORMAT_*, REPOSITORY_*, those of both stores. What was copied before an error stays.
 */
export async function copyCheckpoints(
  from: Repository,
  to: Repository,
  entries: readonly CheckpointEntry[],
  options: CopyOptions = {},
): Promise<CopyReport> {
  const { signal } = options;
  const call = signal ? { signal } : {};
  const wanted = await withAncestors(from, entries, call);
  const there = new Set((await to.checkpoints(call)).map(({ contentHash }) => contentHash));
  const copied: CheckpointEntry[] = [];
  const present: CheckpointEntry[] = [];
  const total = wanted.reduce((sum, entry) => sum + entry.bytes, 0);
  let done = 0;
  for (const entry of wanted) {
    throwIfAborted(signal);
    if (there.has(entry.contentHash)) {
      present.push(entry);
    } else {
      await copyOne(from, to, entry, call);
      copied.push(entry);
    }
    done += entry.bytes;
    options.onProgress?.({ phase: 'copying', done, total, unit: 'bytes' });
  }
  const tags = options.tags === false ? [] : await copyTags(from, to, wanted, call);
  return { copied, present, bytes: copied.reduce((sum, entry) => sum + entry.bytes, 0), tags };
}

async function withAncestors(
  from: Repository,
  entries: readonly CheckpointEntry[],
  call: CallOptions,
): Promise<CheckpointEntry[]> {
  const wanted = new Map<string, CheckpointEntry>();
  for (const entry of entries) {
    for (const link of await from.chain(entry, call)) wanted.set(link.key, link);
  }
  return [...wanted.values()].sort((one, other) => one.sequence - other.sequence);
}

async function copyOne(
  from: Repository,
  to: Repository,
  entry: CheckpointEntry,
  call: CallOptions,
): Promise<void> {
  const source = await from.share(entry.machineId, 'copy', { ...call, evenIfFull: true });
  const target = await to.share(entry.machineId, 'copy', call);
  try {
    const body = verified(objectChunks(from.store, entry, call.signal), entry, call.signal);
    await to.store.put(entry.key, body, { ...call, sizeHint: entry.bytes });
  } finally {
    await target.release();
    await source.release();
  }
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
    if ((await verdict) === entry.contentHash) return;
  } finally {
    tee.destroy();
  }
  throw new FitdocError('REPOSITORY_DAMAGED', `The object of checkpoint ${shortId(entry.id)} was changed.`, {
    hint: 'Bring it back from a copy.',
    details: { key: entry.key, id: entry.id },
  });
}

async function contentHashOf(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  let hash: string | undefined;
  for await (const item of readCheckpointStream(chunks, signal ? { signal } : {})) {
    if (item.type === 'end') hash = item.summary.contentHash;
    if (item.type === 'batch') await item.decode();
  }
  return hash;
}

async function copyTags(
  from: Repository,
  to: Repository,
  entries: readonly CheckpointEntry[],
  call: CallOptions,
): Promise<string[]> {
  const byHash = new Map(entries.map((entry) => [entry.contentHash, entry]));
  const named: string[] = [];
  for (const tag of await from.tags.list(call)) {
    const entry = byHash.get(tag.contentHash);
    if (!entry) continue;
    await to.tags.set(tag.name, entry, call);
    named.push(tag.name);
  }
  return named;
}
