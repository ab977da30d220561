import { applyBatch } from '@fitdoc/diff';
import { BLOCK_SIZE, KIND_WHOLE, KIND_WORDS, KIND_ZERO, type DiskExtent } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockBatch } from '../src/disks/block-batch.js';
import { BlockDigests, digestBytes } from '../src/disks/block-digests.js';
import { changedBlocks } from '../src/disks/changed-blocks.js';
import { SECTOR_SIZE } from '../src/disks/hot-blocks.js';

const BLOCKS = 96;

/** A disk, what a chain has of it, and what a harvest would store. */
class Disk {
  readonly now = new Uint8Array(BLOCKS * BLOCK_SIZE);
  readonly chain = new Uint8Array(BLOCKS * BLOCK_SIZE);
  readonly digests = new BlockDigests(this.now.length);
  readonly #written = new Set<number>();

  write(sector: number, bytes: number): void {
    this.now.fill(bytes, sector * SECTOR_SIZE, (sector + 1) * SECTOR_SIZE);
    this.#written.add(Math.floor((sector * SECTOR_SIZE) / BLOCK_SIZE));
  }

  /** What was written since the last that was committed, as a bitmap of QEMU's has it. */
  async harvest(standsOnZeros = false): Promise<BlockBatch[]> {
    const batches: BlockBatch[] = [];
    const options = { digests: this.digests, blocks: BLOCKS, standsOnZeros, gapsAreZero: false };
    for await (const batch of changedBlocks(this.#extents(), options)) batches.push(batch);
    return batches;
  }

  commit(batches: readonly BlockBatch[]): void {
    for (const batch of batches)
      applyBatch(batch, (gfn) => this.chain.subarray(gfn * BLOCK_SIZE, (gfn + 1) * BLOCK_SIZE));
    this.digests.commit();
    this.#written.clear();
  }

  async *#extents(): AsyncGenerator<DiskExtent> {
    for (const block of [...this.#written].sort((one, other) => one - other)) {
      const offset = block * BLOCK_SIZE;
      yield { offset, bytes: this.now.slice(offset, offset + BLOCK_SIZE) };
      await Promise.resolve();
    }
  }
}

const kindsOf = (batches: readonly BlockBatch[]) => batches.flatMap(({ kinds }) => [...kinds]);
const wordsOf = (batches: readonly BlockBatch[]) => batches.reduce((sum, { words }) => sum + words.length, 0);

describe('blocks that are written again', () => {
  it('are stored as the sectors that changed, once the chain has them', async () => {
    const disk = new Disk();
    for (let sector = 0; sector < 8; sector++) disk.write(sector, 1);
    disk.commit(await disk.harvest());
    disk.write(3, 2);
    disk.write(7, 3);
    const again = await disk.harvest();
    expect(kindsOf(again)).toEqual([KIND_WORDS]);
    expect(wordsOf(again)).toBe(2 * SECTOR_SIZE);
    disk.commit(again);
    expect(Buffer.compare(disk.chain, disk.now)).toBe(0);
    for (let sector = 0; sector < 7; sector++) disk.write(sector, 9);
    expect(kindsOf(await disk.harvest())).toEqual([KIND_WHOLE]);
  });

  it('are stored whole after a checkpoint that did not come about', async () => {
    const disk = new Disk();
    disk.write(0, 1);
    disk.commit(await disk.harvest());
    disk.write(1, 2);
    await disk.harvest();
    disk.digests.rollback();
    disk.write(2, 3);
    expect(kindsOf(await disk.harvest())).toEqual([KIND_WHOLE]);
  });

  it('are stored whole after they were zero, and as zero when they are', async () => {
    const disk = new Disk();
    for (const value of [1, 0, 2]) {
      disk.write(0, value);
      const batches = await disk.harvest();
      expect(kindsOf(batches)).toEqual([value === 0 ? KIND_ZERO : KIND_WHOLE]);
      disk.commit(batches);
    }
  });

  it('show what was written, whatever is written, committed and rolled back', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.tuple(fc.nat(BLOCKS * 8 - 1), fc.nat(2)) },
      // Some blocks are written more often than there is room for in the table.
      { weight: 6, arbitrary: fc.tuple(fc.nat(79), fc.nat(2)) },
      { weight: 2, arbitrary: fc.constant('commit' as const) },
      { weight: 1, arbitrary: fc.constant('rollback' as const) },
    );
    let words = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), fc.boolean(), async (steps, standsOnZeros) => {
        const disk = new Disk();
        let first = standsOnZeros;
        for (const does of [...steps, 'commit' as const]) {
          if (typeof does !== 'string') {
            disk.write(...does);
            continue;
          }
          const batches = await disk.harvest(first);
          words += wordsOf(batches);
          if (does === 'rollback') disk.digests.rollback();
          else {
            disk.commit(batches);
            first = false;
            expect(Buffer.compare(disk.chain, disk.now)).toBe(0);
          }
        }
      }),
      { numRuns: 400 },
    );
    expect(words).toBeGreaterThan(0);
  });
});

it('what is known of a disk takes little more than eight bytes a block', () => {
  for (const gib of [1, 10, 1024]) expect(digestBytes(gib * 2 ** 30) / gib).toBeLessThan(2.3 * 2 ** 20);
});
