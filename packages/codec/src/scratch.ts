/**
 * Memory that a codec uses again for every batch: fresh megabytes cost more, in page faults, than what is done
 * in them. What is taken is valid until the same part is taken again.
 */
export class Scratch {
  readonly #parts = new Map<string, Uint8Array>();

  /** `length` bytes with undefined contents, from offset 0 of a buffer that no other part has. */
  take(part: string, length: number): Uint8Array {
    const held = this.#parts.get(part);
    if (held && held.length >= length) return held.subarray(0, length);
    const fresh = new Uint8Array(Math.max(length, 64 * 1024));
    this.#parts.set(part, fresh);
    return fresh.subarray(0, length);
  }
}
