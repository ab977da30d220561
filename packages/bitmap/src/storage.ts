import { kernelBase64 } from './generated/kernel.js';
import { webAssembly } from './webassembly.js';

// The layout of a bitmap's memory, as in assembly/layout.ts.
const NEXT = 16;
const STAGE = 4096;
const BITS = 65536;
const BLOCK_BYTES = 256;
const WASM_PAGE = 65536;

/** The most entries that one call of the kernel may be asked for. */
export const STAGE_ENTRIES = 6144;
/** Bytes of another bitmap that are merged at once. */
const MERGE_BYTES = 16_384;
/**
 * Entries that are copied to the caller at once, from views made beforehand (to make one for each copy would
 * allocate); a rest is copied one by one.
 */
const LARGE_PIECE = 1024;
const SMALL_PIECE = 64;

interface Kernel {
  fillTable(): void;
  scanRuns(from: number, pages: number, limit: number): number;
  scanPages(from: number, pages: number, limit: number): number;
  count(words: number): number;
  mergeOr(word: number, words: number): void;
  mergeAndNot(word: number, words: number): void;
}

let kernelModule: object | undefined;

/** The WebAssembly memory of one bitmap, and the kernel's instance that works on it. */
export class Storage {
  readonly pages: number;
  /** The bitmap in whole 64-bit words. */
  readonly bytes: Uint8Array;
  readonly kernel: Kernel;
  /** The bitmap and the zeros behind it, in whole blocks. */
  readonly #padded: Uint8Array;
  readonly #control: Uint32Array;
  readonly #stage: Uint32Array;
  readonly #stageBytes: Uint8Array;
  readonly #largePieces: readonly Uint32Array[];
  readonly #smallPieces: readonly Uint32Array[];
  /** What a scan returns; here so that it is made once. */
  readonly result = { written: 0, next: 0 };

  constructor(pages: number) {
    this.pages = pages;
    const byteLength = Math.ceil(pages / 64) * 8;
    const paddedLength = Math.ceil(byteLength / BLOCK_BYTES) * BLOCK_BYTES;
    const size = Math.ceil((BITS + paddedLength) / WASM_PAGE);
    const memory = new webAssembly.Memory({ initial: size, maximum: size });
    kernelModule ??= new webAssembly.Module(Buffer.from(kernelBase64, 'base64'));
    const instance = new webAssembly.Instance(kernelModule, { env: { memory } });
    this.kernel = instance.exports as Kernel;
    this.kernel.fillTable();
    this.bytes = new Uint8Array(memory.buffer, BITS, byteLength);
    this.#padded = new Uint8Array(memory.buffer, BITS, paddedLength);
    this.#control = new Uint32Array(memory.buffer, NEXT, 1);
    this.#stage = new Uint32Array(memory.buffer, STAGE, STAGE_ENTRIES);
    this.#stageBytes = new Uint8Array(memory.buffer, STAGE, MERGE_BYTES);
    this.#largePieces = pieces(this.#stage, LARGE_PIECE);
    this.#smallPieces = pieces(this.#stage, SMALL_PIECE);
  }

  /** The page that the kernel's last scan stopped before. */
  get next(): number {
    return this.#control[0] ?? 0;
  }

  /** Clears the bits behind the last page, which whoever filled the bitmap may have left set. */
  clearTail(): void {
    const { bytes, pages } = this;
    const first = pages >>> 3;
    if (first === bytes.length) return;
    bytes[first] = (bytes[first] ?? 0) & ((1 << (pages & 7)) - 1);
    for (let i = first + 1; i < bytes.length; i++) bytes[i] = 0;
  }

  /** Copies the first `entries` entries of what the last scan found to `out` at `offset`. */
  copyStage(out: Uint32Array, offset: number, entries: number): void {
    const stage = this.#stage;
    let done = 0;
    for (; done + LARGE_PIECE <= entries; done += LARGE_PIECE) {
      out.set(this.#largePieces[done / LARGE_PIECE] as Uint32Array, offset + done);
    }
    for (; done + SMALL_PIECE <= entries; done += SMALL_PIECE) {
      out.set(this.#smallPieces[done / SMALL_PIECE] as Uint32Array, offset + done);
    }
    for (; done < entries; done++) out[offset + done] = stage[done] as number;
  }

  /** Ors, or and-nots, the bitmap of `other`, which has as many pages, into this one. */
  merge(other: Storage, operation: 'mergeOr' | 'mergeAndNot'): void {
    for (let offset = 0; offset < this.#padded.length; offset += MERGE_BYTES) {
      const part = other.#padded.subarray(offset, offset + MERGE_BYTES);
      this.#stageBytes.set(part);
      this.kernel[operation](offset / 8, part.length / 8);
    }
  }
}

function pieces(stage: Uint32Array, length: number): Uint32Array[] {
  const starts = Array.from({ length: stage.length / length }, (_, i) => i * length);
  return starts.map((start) => stage.subarray(start, start + length));
}
