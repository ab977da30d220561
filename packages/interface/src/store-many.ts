import type { CallOptions } from './call.js';
import { isFitdocError, throwIfAborted } from './errors.js';
import type { DeleteFailure, ObjectStat, Store } from './store.js';

/** Lists as `list` with `startAfter` does, over stores too that know nothing of that option. */
export async function* listAfter(
  store: Store,
  prefix: string,
  startAfter: string,
  options: CallOptions = {},
): AsyncGenerator<ObjectStat> {
  for await (const stat of store.list(prefix, { ...options, startAfter })) {
    // Keys are ASCII, so that the order of UTF-16 units is the order of bytes.
    if (stat.key > startAfter) yield stat;
  }
}

/**
 * Deletes objects: by `deleteMany` where the store has it, else one after the other in the order given. Gives
 * those that could not be deleted. Rejects with ABORTED, with STORE_CLOSED, and as `deleteMany` does.
 */
export async function deleteAll(
  store: Store,
  keys: readonly string[],
  options: CallOptions = {},
): Promise<DeleteFailure[]> {
  throwIfAborted(options.signal);
  if (store.deleteMany) return store.deleteMany(keys, options);
  const failures: DeleteFailure[] = [];
  for (const key of keys) {
    try {
      await store.delete(key, options);
    } catch (error) {
      if (!isFitdocError(error) || error.code === 'ABORTED' || error.code === 'STORE_CLOSED') throw error;
      failures.push({ key, error });
    }
  }
  return failures;
}
