import type { ByteQueue } from '../../src/stream/byte-queue.js';
import { type Parse } from '../../src/stream/byte-queue.js';

/** Runs a parser over bytes that come in chunks of the given sizes (repeated); throws when they run out. */
export function feed<Result>(parse: Parse<Result>, queue: ByteQueue, chunks: Iterator<Uint8Array>): Result {
  for (;;) {
    const step = parse.next();
    if (step.done === true) return step.value;
    while (queue.available < step.value) {
      const chunk = chunks.next();
      if (chunk.done === true) throw new Error('the stream ended early');
      queue.push(chunk.value);
    }
  }
}

export function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array, void> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
