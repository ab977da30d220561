/** Values by key, up to a number of bytes: what was used longest ago goes first. A failure is not kept. */
export class RecentCache<Value> {
  readonly #limit: number;
  readonly #sizeOf: (value: Value) => number;
  readonly #entries = new Map<string, { readonly value: Promise<Value>; bytes: number }>();
  #bytes = 0;

  constructor(limit: number, sizeOf: (value: Value) => number) {
    this.#limit = limit;
    this.#sizeOf = sizeOf;
  }

  /** Bytes of all values that are here. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Promise<Value> | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    // Re-inserted, so that the map's order is the order of last use.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Keeps what is under way: whoever asks meanwhile gets the same. */
  set(key: string, value: Promise<Value>): Promise<Value> {
    const entry = { value, bytes: 0 };
    this.#entries.set(key, entry);
    value.then(
      (settled) => {
        if (this.#entries.get(key) !== entry) return;
        entry.bytes = this.#sizeOf(settled);
        this.#bytes += entry.bytes;
        this.#evict();
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return value;
  }

  #evict(): void {
    for (const [key, { bytes }] of this.#entries) {
      if (this.#bytes <= this.#limit) return;
      // Those under way have no size yet, and somebody waits for them.
      if (bytes === 0) continue;
      this.#entries.delete(key);
      this.#bytes -= bytes;
    }
  }
}
