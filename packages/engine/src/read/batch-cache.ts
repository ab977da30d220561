import type { PageSpace } from '@fitdoc/format';

/**
 * Encoded batches that were read, up to a number of bytes. Windows of a restore walk over the same batches
 * again and again, because an increment's few batches reach across the whole guest.
 */
export class BatchCache {
  readonly #limit: number;
  readonly #entries = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `object`: the key of the object that the reader reads. */
  async read(object: string, reader: PageSpace, batch: number): Promise<Uint8Array> {
    const key = `${object}/${batch}`;
    const known = this.#entries.get(key);
    if (known) {
      // Re-inserted, so that the map's order is the order of last use.
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known;
    }
    const bytes = await reader.readEncodedBatch(batch);
    this.#entries.set(key, bytes);
    this.#bytes += bytes.length;
    this.#evict();
    return bytes;
  }

  #evict(): void {
    for (const [key, bytes] of this.#entries) {
      if (this.#bytes <= this.#limit) return;
      this.#entries.delete(key);
      this.#bytes -= bytes.length;
    }
  }
}
