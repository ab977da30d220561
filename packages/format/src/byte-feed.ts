import { throwIfAborted } from '@fitdoc/interface';
import { concat } from './bytes.js';
import { truncated } from './failures.js';

/** Takes exact lengths from a stream of chunks. It holds what was received, never what was merely announced. */
export class ByteFeed {
  /** Bytes taken so far. */
  offset = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  readonly #iterator: AsyncIterator<Uint8Array>;

  constructor(
    chunks: AsyncIterable<Uint8Array>,
    private readonly signal?: AbortSignal,
  ) {
    this.#iterator = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` bytes. FORMAT_TRUNCATED when the stream ends before. */
  async take(length: number): Promise<Uint8Array> {
    const bytes = await this.takeUpTo(length);
    if (bytes.length < length) throw truncated(`The stream ends after ${this.offset} bytes.`);
    return bytes;
  }

  /** The next `length` bytes, or all that are left. */
  async takeUpTo(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let missing = length;
    while (missing > 0 && (this.#chunk.length > 0 || (await this.#next()))) {
      const part = this.#chunk.subarray(0, missing);
      this.#chunk = this.#chunk.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    this.offset += length - missing;
    const [only] = parts;
    return parts.length === 1 && only ? only : concat(parts);
  }

  /** Lets the stream go. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async #next(): Promise<boolean> {
    throwIfAborted(this.signal);
    const result = await this.#iterator.next();
    throwIfAborted(this.signal);
    if (result.done === true) return false;
    this.#chunk = result.value;
    return true;
  }
}
