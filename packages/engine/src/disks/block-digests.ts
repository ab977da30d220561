import { randomBytes } from 'node:crypto';
import { xxh3 } from '@node-rs/xxhash';
import { BLOCK_SIZE } from '@fitdoc/interface';
import { HotBlocks, hotBlocks, hotBytes } from './hot-blocks.js';

/** Blocks whose digests lie together: those of 1 GiB, in 2 MiB. */
const CHUNK = 2 ** 18;
const ZERO = 0n;
/** Nobody knows what the chain has there. */
const UNKNOWN = 1n;
const ZEROS = new Uint8Array(BLOCK_SIZE);
/**
 * Drawn for each process, so that no guest can write two blocks that are taken for one. A seed would not do: of XXH64
 * pairs of blocks are known that meet under every second one.
 */
const SECRET = randomBytes(192);

/** Bytes of memory that the digests of a disk of `sizeBytes` take at most. */
export function digestBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_SIZE / CHUNK) * CHUNK * (8 + 1 / 8) + hotBytes(sizeBytes);
}

/** What of a block the chain does not hold: nothing, zeros, all of it, or the sectors of these bits, the lowest first. */
export type BlockChange = 'same' | 'zero' | 'bytes' | number;

/**
 * What the chain holds of a disk, eight bytes a block: enough to leave out blocks that were written with what
 * they held. Nothing is taken for parts of the disk that are zero.
 */
export class BlockDigests {
  readonly #digests = new Map<number, BigUint64Array>();
  /** One bit a block that was noted and is not in the chain yet. */
  readonly #noted = new Map<number, Uint8Array>();
  readonly #hot: HotBlocks;

  /** `sizeBytes`: of the disk when it is first noted. */
  constructor(sizeBytes: number) {
    this.#hot = new HotBlocks(hotBlocks(sizeBytes), digestOf);
  }

  /**
   * Notes what a block holds now (4096 bytes), and says what of it the chain does not hold. `zero`: nothing but zeros.
   */
  note(block: number, bytes: Uint8Array | 'zero'): 'same' | 'zero' | 'bytes' {
    const change = this.#note(block, bytes);
    if (change !== 'same') this.#hot.forget(block);
    return change;
  }

  /** As `note`, of a block that is written again and again maybe: then the sectors that changed. */
  noteHot(block: number, bytes: Uint8Array | 'zero'): BlockChange {
    const change = this.#note(block, bytes);
    if (change === 'bytes' && bytes !== 'zero') return this.#hot.note(block, bytes) ?? change;
    if (change === 'zero') this.#hot.forget(block);
    return change;
  }

  /** Blocks from `start` to before `end` that the chain does not hold as zero, ascending. */
  *nonZero(start: number, end: number): Generator<number> {
    const last = Math.floor((end - 1) / CHUNK);
    for (let chunk = Math.floor(start / CHUNK); chunk <= last; chunk++) {
      const digests = this.#digests.get(chunk);
      if (!digests) continue;
      const from = Math.max(0, start - chunk * CHUNK);
      const to = Math.min(CHUNK, end - chunk * CHUNK);
      for (let i = from; i < to; i++) if (digests[i] !== ZERO) yield chunk * CHUNK + i;
    }
  }

  /** What was noted is in the chain. */
  commit(): void {
    this.#noted.clear();
    this.#hot.commit();
  }

  /** What was noted is not, and what stands in its place is not known any longer. */
  rollback(): void {
    for (const [chunk, bits] of this.#noted) {
      const digests = this.#digests.get(chunk);
      for (let i = 0; digests && i < CHUNK; i++)
        if (((bits[i >>> 3] ?? 0) & (1 << (i & 7))) !== 0) digests[i] = UNKNOWN;
    }
    this.#noted.clear();
    this.#hot.rollback();
  }

  #note(block: number, bytes: Uint8Array | 'zero'): 'same' | 'zero' | 'bytes' {
    const digest = bytes === 'zero' || isZero(bytes) ? ZERO : digestOf(bytes);
    if (this.#get(block) === digest) return 'same';
    this.#set(block, digest);
    return digest === ZERO ? 'zero' : 'bytes';
  }

  #get(block: number): bigint {
    const chunk = Math.floor(block / CHUNK);
    return this.#digests.get(chunk)?.[block - chunk * CHUNK] ?? ZERO;
  }

  #set(block: number, digest: bigint): void {
    const chunk = Math.floor(block / CHUNK);
    const index = block - chunk * CHUNK;
    const digests = this.#digests.get(chunk) ?? new BigUint64Array(CHUNK);
    const bits = this.#noted.get(chunk) ?? new Uint8Array(CHUNK / 8);
    digests[index] = digest;
    bits[index >>> 3] = (bits[index >>> 3] ?? 0) | (1 << (index & 7));
    this.#digests.set(chunk, digests);
    this.#noted.set(chunk, bits);
  }
}

function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, ZEROS) === 0;
}

function digestOf(bytes: Uint8Array): bigint {
  const digest = xxh3.xxh64WithSecret(bytes, SECRET);
  return digest > UNKNOWN ? digest : digest + 2n;
}
