import { randomBytes } from 'node:crypto';
import { BLOCK_SIZE, type DiskExtent, type HarvestDisk } from '@fitdoc/interface';
import { expect, it } from 'vitest';
import { BlockDigests } from '../src/disks/block-digests.js';
import { DiskHarvest, type EncodeBlocksOptions } from '../src/disks/disk-harvest.js';

const MASK = 2n ** 64n - 1n;
const PRIME_1 = 0x9e37_79b1_85eb_ca87n;
const PRIME_2 = 0xc2b2_ae3d_27d4_eb4fn;

function inverse(odd: bigint): bigint {
  let found = 1n;
  for (let bits = 1; bits < 64; bits *= 2) found = (found * (2n - odd * found)) & MASK;
  return found;
}

/** Another block, whose XXH64 is that of `block` under every second seed: its lane's top bit is flipped, and back. */
function twinUnderXxh64(block: Buffer): Buffer {
  const twin = Buffer.from(block);
  const add = (at: number, difference: bigint): void =>
    void twin.writeBigUInt64LE((block.readBigUInt64LE(at) + difference) & MASK, at);
  add(0, 2n ** 63n * inverse(PRIME_2));
  add(32, MASK + 1n - ((2n ** 30n * PRIME_1 * inverse(PRIME_2)) & MASK));
  return twin;
}

it('no blocks are taken for one, though a guest made them for that', () => {
  const digests = new BlockDigests(64 * BLOCK_SIZE);
  for (let block = 0; block < 64; block++) {
    const bytes = randomBytes(BLOCK_SIZE);
    expect(digests.note(block, bytes)).toBe('bytes');
    expect(digests.note(block, bytes)).toBe('same');
    expect(digests.note(block, twinUnderXxh64(bytes))).toBe('bytes');
  }
});

it('what is read after a rollback does not count as stored', async () => {
  const encoded = { bytes: new Uint8Array(1), pages: 1 };
  const pool = { workers: 1, blocks: () => Promise.resolve(encoded) };
  const options = { pool, settings: { compressor: 'zstd' } } as unknown as EncodeBlocksOptions;
  const extent: DiskExtent = { offset: 0, bytes: new Uint8Array(BLOCK_SIZE).fill(7) };
  let give: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (give = resolve));
  const disk = (kind: HarvestDisk['kind'], waits: boolean): HarvestDisk => ({
    ...{ name: 'disk', sizeBytes: 8 * BLOCK_SIZE, kind },
    async *read() {
      if (waits) await held;
      yield extent;
    },
  });
  const first = new DiskHarvest({ disks: [{ ...disk('full', false), async *read() {} }] }, new Map());
  for await (const _ of first.content(options)) expect.unreachable();
  const known = first.commit();

  const second = new DiskHarvest({ disks: [disk('increment', true)] }, known);
  const late = second.content(options).next();
  second.rollback();
  give();
  await expect(late).rejects.toMatchObject({ code: 'ABORTED' });

  const third = new DiskHarvest({ disks: [disk('increment', false)] }, known);
  const blocks: number[] = [];
  for await (const item of third.content(options)) if (item.type === 'blocks') blocks.push(...item.gfns);
  expect(blocks).toEqual([0]);
});
