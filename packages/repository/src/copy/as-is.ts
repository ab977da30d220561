import { FitdocError, isFitdocError, type CallOptions } from '@fitdoc/interface';
import { keyIdOf, sealedSize } from '@fitdoc/sealing';
import { shortId, type CheckpointEntry } from '../catalogue/entry.js';
import type { Repository } from '../repository.js';

/** Bytes that are read of an object at a time. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** So many tell with which key an object is sealed. */
const START_BYTES = 48;

/** ARGUMENT_INVALID unless both are encrypted, the other with all keys of the first. */
export function checkSameKey(from: Repository, to: Repository): void {
  if (from.encryption && to.encryption?.keys.has(from.encryption.keys.currentId)) return;
  throw new FitdocError('ARGUMENT_INVALID', 'The two repositories do not have the same key.', {
    hint: 'Only such pass sealed objects on as they are: make the other with init --encrypt --key-of the first, or copy without --as-is.',
  });
}

/**
 * Passes a sealed object on as it is, unread, to the same key. False where that cannot be: its key is one that the
 * other lacks, or something has its place there. REPOSITORY_DAMAGED when its length is another than it was.
 */
export async function copyAsIs(
  from: Repository,
  to: Repository,
  entry: CheckpointEntry,
  call: CallOptions & { readonly mode: 'absent' | 'replace' },
): Promise<boolean> {
  const { signal } = call;
  const source = from.encryption?.store.beneath;
  if (!source || !to.encryption) return false;
  const start = await source.get(entry.key, { offset: 0, length: START_BYTES }, signal ? { signal } : {});
  if (!to.encryption.keys.has(keyIdOf(start, entry.key))) return false;
  const size = sealedSize(entry.bytes);
  const body = async function* (): AsyncGenerator<Uint8Array> {
    let done = 0;
    while (done < size) {
      const length = Math.min(CHUNK_BYTES, size - done);
      const bytes = await source.get(entry.key, { offset: done, length }, signal ? { signal } : {});
      if (bytes.length !== length) throw changed(entry);
      done += length;
      yield bytes;
    }
  };
  try {
    await to.adoptSealed(entry, body(), { ...call, sizeHint: size });
    return true;
  } catch (error) {
    if (!isFitdocError(error, 'STORE_EXISTS')) throw error;
    return false;
  }
}

function changed(entry: CheckpointEntry): FitdocError {
  return new FitdocError('REPOSITORY_DAMAGED', `The object of checkpoint ${shortId(entry.id)} was cut off.`, {
    hint: 'Bring it back from a copy.',
    details: { key: entry.key, id: entry.id },
  });
}
