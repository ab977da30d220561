import { throwIfAborted, type Store } from '@fitdoc/interface';
import { truncated } from './failures.js';

/** An object that can be read in parts, by several calls at once. */
export interface RangedSource {
  /** Bytes of the object. */
  readonly size: number;
  /**
   * The `length` bytes from `offset`; fewer only where the object ends before. The reader keeps views of the
   * result, so it must not change later.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/** A checkpoint that is in memory already. */
export function bytesSource(bytes: Uint8Array): RangedSource {
  return {
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/** A checkpoint in a store: one `get` a read. `size` is the object's, as `stat` or `list` told. */
export function storeSource(store: Pick<Store, 'get'>, key: string, size: number): RangedSource {
  return {
    size,
    read: (offset, length, signal) => store.get(key, { offset, length }, signal ? { signal } : {}),
  };
}

/** Reads exactly the given range, which must lie within the source's size. FORMAT_TRUNCATED when bytes lack. */
export async function readExactly(
  source: RangedSource,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  throwIfAborted(signal);
  if (offset + length > source.size) throw truncated(`The object ends before byte ${offset + length}.`);
  const bytes = await source.read(offset, length, signal);
  throwIfAborted(signal);
  if (bytes.length < length) {
    throw truncated(`The object gave ${bytes.length} of ${length} bytes from byte ${offset}.`);
  }
  return bytes.length === length ? bytes : bytes.subarray(0, length);
}
