import assert from 'node:assert/strict';
import { BLOCK_SIZE, type Harvest, type HarvestDisk } from '@fitdoc/interface';

/** A disk in the plainest way: its blocks by number, those that are missing being zero. */
export class OracleDisk {
  sizeBytes = 0;
  readonly #blocks = new Map<number, Uint8Array>();

  /** Reads a harvest's disk over what is there. */
  async apply(disk: HarvestDisk): Promise<void> {
    if (disk.kind === 'full') this.#blocks.clear();
    else assert.ok(disk.sizeBytes >= this.sizeBytes, 'an increment of a disk that shrank');
    this.sizeBytes = disk.sizeBytes;
    let next = 0;
    for await (const extent of disk.read()) {
      const length = 'bytes' in extent ? extent.bytes.length : extent.zeroes;
      assert.ok(extent.offset >= next && extent.offset % BLOCK_SIZE === 0, `an extent at ${extent.offset}`);
      next = extent.offset + length;
      assert.ok(length > 0 && next <= disk.sizeBytes, 'an extent beyond the disk');
      assert.ok(next % BLOCK_SIZE === 0 || next === disk.sizeBytes, `an extent that ends at ${next}`);
      this.#write(extent.offset, 'bytes' in extent ? extent.bytes : new Uint8Array(length));
    }
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += BLOCK_SIZE) {
      const block = this.#blocks.get((offset + at) / BLOCK_SIZE);
      if (block) bytes.set(block.subarray(0, Math.min(BLOCK_SIZE, length - at)), at);
    }
    return bytes;
  }

  #write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += BLOCK_SIZE) {
      const block = new Uint8Array(BLOCK_SIZE);
      block.set(bytes.subarray(at, at + BLOCK_SIZE));
      this.#blocks.set((offset + at) / BLOCK_SIZE, block);
    }
  }
}

/** All disks of a machine, as its harvests say. */
export class DiskOracle {
  readonly disks = new Map<string, OracleDisk>();

  /** Takes in what a harvest brings; to be committed then. */
  async apply(harvest: Harvest): Promise<void> {
    for (const each of harvest.disks ?? []) {
      const disk = this.disks.get(each.name) ?? new OracleDisk();
      this.disks.set(each.name, disk);
      await disk.apply(each);
    }
  }
}
