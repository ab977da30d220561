/** A piece of a body. `bytes` may be used until `release` is called. */
export interface Part {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
  release(): void;
}

/** Parts that an upload may have. */
export const MOST_PARTS = 10_000;
/** After so many parts their size doubles, so that the number of parts allows objects of 300 GB and more. */
const PARTS_OF_A_SIZE = 2_500;

export function partBytesAt(index: number, partBytes: number): number {
  return partBytes * 2 ** Math.floor(index / PARTS_OF_A_SIZE);
}

/**
 * Cuts chunks into parts of `partBytes` (later ones larger: `partBytesAt`). Copies, for a chunk is its
 * producer's again once the next is asked for; buffers go round. Always gives a last part, perhaps an empty one.
 */
export async function* cutIntoParts(
  chunks: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Part, undefined> {
  const buffers = new Buffers();
  let index = 0;
  let size = partBytesAt(index, partBytes);
  let filling = buffers.take(0);
  let filled = 0;
  const part = (isLast: boolean): Part => {
    const buffer = filling;
    return { bytes: buffer.subarray(0, filled), isLast, release: () => buffers.give(buffer) };
  };
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length;) {
      // A full part is given away only when more is known to follow, for the last one is told apart.
      if (filled === size) {
        yield part(false);
        size = partBytesAt(++index, partBytes);
        filling = buffers.take(size);
        filled = 0;
      }
      const wanted = Math.min(chunk.length - from, size - filled);
      filling = buffers.grow(filling, filled, filled + wanted, size);
      filling.set(chunk.subarray(from, from + wanted), filled);
      filled += wanted;
      from += wanted;
    }
  }
  yield part(true);
  return undefined;
}

/** The same for bytes that are in memory already: nothing is copied. */
export async function* cutBytes(bytes: Uint8Array, partBytes: number): AsyncGenerator<Part, undefined> {
  let from = 0;
  for (let index = 0; ; index++) {
    const to = from + partBytesAt(index, partBytes);
    const isLast = to >= bytes.length;
    yield { bytes: bytes.subarray(from, to), isLast, release: () => undefined };
    if (isLast) return undefined;
    from = to;
  }
}

/** Lends buffers and takes them back. */
class Buffers {
  readonly #free: Uint8Array[] = [];

  take(size: number): Uint8Array {
    const free = this.#free.pop();
    return free && free.length >= size ? free : unfilled(size);
  }

  give(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }

  /** A buffer of at least `needed` bytes with the first `filled` of `buffer`: small bodies take little memory. */
  grow(buffer: Uint8Array, filled: number, needed: number, most: number): Uint8Array {
    if (buffer.length >= needed) return buffer;
    const larger = unfilled(Math.min(most, Math.max(needed, buffer.length * 2, 16_384)));
    larger.set(buffer.subarray(0, filled));
    return larger;
  }
}

/** Memory of its own that is not cleared first: all that is used of it is written before. */
function unfilled(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}
