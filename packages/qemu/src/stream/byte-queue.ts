import { FitdocError } from '@fitdoc/interface';

/**
 * Bytes that have arrived and not yet been read, in the chunks in which they came. Reads require that enough
 * is available: a parser checks that first, and waits for more by yielding (see Parse).
 */
export class ByteQueue {
  /** Bytes that can be read now. */
  available = 0;
  /** Bytes read since the start of the stream. */
  position = 0;
  /** When the chunk came that holds the byte read last, in the unit that `push` was given. */
  arrivedAt = 0;
  private chunks: Uint8Array[] = [];
  private times: number[] = [];
  private first = 0;
  private offset = 0;

  push(chunk: Uint8Array, arrivedAt = 0): void {
    if (chunk.length === 0) return;
    this.chunks.push(chunk);
    this.times.push(arrivedAt);
    this.available += chunk.length;
  }

  byte(): number {
    const chunk = this.chunks[this.first];
    if (chunk === undefined) throw new RangeError('read beyond the bytes that have arrived');
    const value = chunk[this.offset]!;
    this.advance(chunk, 1);
    return value;
  }

  uint16(): number {
    return this.byte() * 0x100 + this.byte();
  }

  uint32(): number {
    const chunk = this.chunks[this.first];
    const at = this.offset;
    if (chunk === undefined || chunk.length - at < 4) return this.uint16() * 0x1_0000 + this.uint16();
    const value =
      ((chunk[at]! << 24) | (chunk[at + 1]! << 16) | (chunk[at + 2]! << 8) | chunk[at + 3]!) >>> 0;
    this.advance(chunk, 4);
    return value;
  }

  /** A 64-bit number; PROTOCOL_ERROR when it exceeds what a number holds exactly. */
  uint64(): number {
    const value = this.uint32() * 0x1_0000_0000 + this.uint32();
    if (value > Number.MAX_SAFE_INTEGER)
      throw damaged(this.position - 8, 'a number beyond any sensible size');
    return value;
  }

  text(length: number): string {
    const bytes = new Uint8Array(length);
    this.copyTo(bytes);
    return Buffer.from(bytes).toString('latin1');
  }

  /** Fills `target` with the next bytes. */
  copyTo(target: Uint8Array): void {
    let filled = 0;
    while (filled < target.length) {
      const chunk = this.chunks[this.first];
      if (chunk === undefined) throw new RangeError('read beyond the bytes that have arrived');
      const count = Math.min(target.length - filled, chunk.length - this.offset);
      target.set(chunk.subarray(this.offset, this.offset + count), filled);
      filled += count;
      this.advance(chunk, count);
    }
  }

  /** Puts bytes back in front of what is there, as if they had not been read. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const rest = this.chunks.slice(this.first);
    const times = this.times.slice(this.first);
    if (rest.length > 0) rest[0] = rest[0]!.subarray(this.offset);
    this.chunks = [bytes, ...rest];
    this.times = [this.arrivedAt, ...times];
    this.first = 0;
    this.offset = 0;
    this.available += bytes.length;
    this.position -= bytes.length;
  }

  private advance(chunk: Uint8Array, count: number): void {
    this.arrivedAt = this.times[this.first]!;
    this.offset += count;
    this.position += count;
    this.available -= count;
    if (this.offset < chunk.length) return;
    this.offset = 0;
    this.chunks[this.first++] = undefined as unknown as Uint8Array;
    if (this.first < 1024 && this.first < this.chunks.length) return;
    this.chunks = this.chunks.slice(this.first);
    this.times = this.times.slice(this.first);
    this.first = 0;
  }
}

/**
 * A parser as a generator: it yields the number of bytes that must be available before it can go on, and
 * returns what it read. So the same parser serves a socket, a file and a test.
 */
export type Parse<Result> = Generator<number, Result, void>;

/** PROTOCOL_ERROR: the stream is not what QEMU writes. `position` counts from the stream's start. */
export function damaged(position: number, found: string): FitdocError {
  return new FitdocError('PROTOCOL_ERROR', `QEMU's stream has ${found} at byte ${position}.`, {
    hint: 'The stream is damaged, or this QEMU writes something that fitdoc does not know: report its version.',
    details: { position },
  });
}
