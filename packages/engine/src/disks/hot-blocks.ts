import { BLOCK_SIZE } from '@fitdoc/interface';

/** Bytes of a sector: a block has eight. */
export const SECTOR_SIZE = 512;
const SECTORS = BLOCK_SIZE / SECTOR_SIZE;
/** Blocks of a disk whose sectors are known: one in so many, within these bounds, and fewer of a tiny disk. */
const ONE_IN = 256;
const BOUNDS = [2 ** 11, 2 ** 14] as const;
const ONE_OF_TINY = 16;
/** About what the table of their places takes, for each. */
const PLACE_BYTES = 64;

/** So many blocks of a disk may be hot at once. */
export function hotBlocks(sizeBytes: number): number {
  const blocks = Math.ceil(sizeBytes / BLOCK_SIZE);
  const [least, most] = BOUNDS;
  return Math.ceil(Math.min(blocks / ONE_OF_TINY, most, Math.max(least, blocks / ONE_IN)));
}

/** Bytes of memory that they take at most. */
export function hotBytes(sizeBytes: number): number {
  return hotBlocks(sizeBytes) * (8 * SECTORS + PLACE_BYTES);
}

/**
 * What the chain holds in the sectors of those blocks that changed last, eight bytes a sector: a block that is written
 * again and again, as those of databases and of file systems' own tables are, seldom changes in all of its sectors.
 */
export class HotBlocks {
  /** Where a block's digests are; the one that changed longest ago first. */
  readonly #places = new Map<number, number>();
  readonly #noted = new Set<number>();
  /** Places that were given up; those from `#used` on were never taken. */
  readonly #given: number[] = [];
  #used = 0;
  #digests: BigUint64Array | undefined;

  constructor(
    private readonly most: number,
    private readonly digestOf: (bytes: Uint8Array) => bigint,
  ) {}

  /**
   * Notes what a block holds now (4096 bytes), of which something changed; gives a bit for each sector, from the lowest
   * on, that did, and undefined where what the chain holds of it is not known.
   */
  note(block: number, bytes: Uint8Array): number | undefined {
    if (this.most === 0) return undefined;
    const digests = (this.#digests ??= new BigUint64Array(this.most * SECTORS));
    const known = this.#places.get(block);
    const place = known ?? this.#free();
    let changed = 0;
    for (let sector = 0; sector < SECTORS; sector++) {
      const digest = this.digestOf(bytes.subarray(sector * SECTOR_SIZE, (sector + 1) * SECTOR_SIZE));
      if (digests[place * SECTORS + sector] !== digest) changed |= 1 << sector;
      digests[place * SECTORS + sector] = digest;
    }
    // Behind all others.
    this.#places.delete(block);
    this.#places.set(block, place);
    this.#noted.add(block);
    return known === undefined || changed === 0 ? undefined : changed;
  }

  forget(block: number): void {
    const place = this.#places.get(block);
    if (place === undefined) return;
    this.#places.delete(block);
    this.#noted.delete(block);
    this.#given.push(place);
  }

  /** What was noted is in the chain. */
  commit(): void {
    this.#noted.clear();
  }

  /** What was noted is not, and what the chain holds there is not known any longer. */
  rollback(): void {
    for (const block of this.#noted) this.forget(block);
  }

  #free(): number {
    if (this.#given.length === 0 && this.#used === this.most) this.forget(this.#places.keys().next().value!);
    return this.#given.pop() ?? this.#used++;
  }
}
