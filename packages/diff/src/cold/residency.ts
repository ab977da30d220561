import { clearBit, setBit, testBit } from '../bits.js';

const HEAD_WORDS = 32;
const HEAD = { file: 0, sealed: 1, key: 16 } as const;
const KEY_BYTES = 64;

/**
 * Where the content of a shard's image pages is: in the shard's memory, or in the cold file. Shared by all threads
 * that have the shard. Takes memory only for pages that were ever cold.
 */
export class Residency {
  /** Pages whose content is in the cold file; their memory reads as zeros. */
  readonly cold: Int32Array;
  /** Cold pages whose content could not be kept: nobody knows what the image held. */
  readonly lost: Int32Array;
  /** CRC-32 of each cold page's content. */
  readonly sums: Int32Array;
  readonly #head: Int32Array;
  readonly #key: Uint8Array;

  constructor(
    readonly buffer: SharedArrayBuffer,
    pages: number,
  ) {
    const words = Math.ceil(pages / 32);
    this.#head = new Int32Array(buffer, 0, HEAD_WORDS);
    this.#key = new Uint8Array(buffer, HEAD.key * 4, KEY_BYTES);
    this.cold = new Int32Array(buffer, HEAD_WORDS * 4, words);
    this.lost = new Int32Array(buffer, (HEAD_WORDS + words) * 4, words);
    this.sums = new Int32Array(buffer, (HEAD_WORDS + 2 * words) * 4, pages);
  }

  static create(pages: number): Residency {
    const words = HEAD_WORDS + 2 * Math.ceil(pages / 32) + pages;
    return new Residency(new SharedArrayBuffer(words * 4), pages);
  }

  /** From now on pages of the shard may be cold, in this open file. */
  use(descriptor: number, key: Uint8Array | undefined): void {
    if (key) {
      this.#key.set(key);
      Atomics.store(this.#head, HEAD.sealed, 1);
    }
    Atomics.store(this.#head, HEAD.file, descriptor + 1);
  }

  /** The cold file; undefined while the shard has none, and so no cold page. */
  get file(): number | undefined {
    const descriptor = Atomics.load(this.#head, HEAD.file) - 1;
    return descriptor < 0 ? undefined : descriptor;
  }

  /** What seals the file's pages; undefined where they are as they are. */
  get key(): Uint8Array | undefined {
    return Atomics.load(this.#head, HEAD.sealed) === 0 ? undefined : this.#key;
  }

  isCold(page: number): boolean {
    return testBit(this.cold, page);
  }

  isLost(page: number): boolean {
    return testBit(this.lost, page);
  }

  setCold(page: number): void {
    clearBit(this.lost, page);
    setBit(this.cold, page);
  }

  setLost(page: number): void {
    setBit(this.lost, page);
    setBit(this.cold, page);
  }

  setResident(page: number): void {
    clearBit(this.cold, page);
    clearBit(this.lost, page);
  }
}
