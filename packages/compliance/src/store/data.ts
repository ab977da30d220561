import assert from 'node:assert/strict';
import type { ObjectStat, Store } from '@fitdoc/interface';

/** Bytes that look random and are the same for the same seed (xorshift32). */
export function sampleBytes(length: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Asserts equality without printing megabytes when it fails. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.ok(actual instanceof Uint8Array, `${what}: not a Uint8Array`);
  assert.equal(actual.length, expected.length, `${what}: length`);
  assert.equal(Buffer.compare(actual, expected), 0, `${what}: the bytes differ`);
}

export async function listAll(store: Store, prefix = ''): Promise<ObjectStat[]> {
  const found: ObjectStat[] = [];
  for await (const stat of store.list(prefix)) found.push(stat);
  return found;
}

export async function listKeys(store: Store, prefix = ''): Promise<string[]> {
  return (await listAll(store, prefix)).map((stat) => stat.key);
}

/** `bytes` in chunks of `size`, a new macrotask each. */
export async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(offset, offset + size);
  }
}
