const SLAB_BYTES = 1 << 20;
/** A read gets at least this much room: as much as a unix socket holds by default. */
const LEAST_ROOM = 256 << 10;
/** Free memory that is kept for later: more than checkpoints of most guests take. */
const KEPT_SLABS = 64;

interface Slab {
  readonly bytes: Uint8Array;
  used: number;
  /** Where in the stream the last byte in this slab lies. */
  end: number;
}

/**
 * Memory for bytes as they come in, taken again once they have been read: fresh memory costs the kernel more
 * than to copy into it, and it would do so while a guest stands.
 */
export class Slabs {
  private readonly filled: Slab[] = [];
  private readonly free: Slab[] = [];
  private current: Slab = emptySlab();
  private total = 0;

  /** Room for the next read. Requires that what the last one brought was `taken`. */
  room(): Uint8Array {
    if (SLAB_BYTES - this.current.used < LEAST_ROOM) this.next();
    return this.current.bytes.subarray(this.current.used);
  }

  /** Says that a read brought `count` bytes; gives them. */
  taken(count: number): Uint8Array {
    const { current } = this;
    const start = current.used;
    current.used += count;
    this.total += count;
    current.end = this.total;
    return current.bytes.subarray(start, current.used);
  }

  /** Says that nobody needs the stream's bytes before `position` any more. */
  release(position: number): void {
    while (this.filled[0] !== undefined && this.filled[0].end <= position) {
      const slab = this.filled.shift()!;
      if (this.free.length < KEPT_SLABS) this.free.push({ ...slab, used: 0, end: 0 });
    }
  }

  private next(): void {
    this.filled.push(this.current);
    this.current = this.free.pop() ?? emptySlab();
  }
}

function emptySlab(): Slab {
  return { bytes: new Uint8Array(new ArrayBuffer(SLAB_BYTES)), used: 0, end: 0 };
}
