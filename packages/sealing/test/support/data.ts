import type { Store } from '@fitdoc/interface';

/** Bytes that are no repetition, and the same each time. */
export function sample(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Cuts bytes into pieces of the given lengths, again and again. */
export async function* pieces(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length]!;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing went wrong',
    (error: Error & { code?: string }) => error.code ?? error.message,
  );
}

/** Changes what lies in a store. */
export async function rewrite(
  store: Store,
  key: string,
  change: (bytes: Buffer) => Uint8Array,
): Promise<void> {
  await store.put(key, change(Buffer.from(await store.get(key))), { mode: 'replace' });
}
