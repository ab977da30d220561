import { open, type FileHandle } from 'node:fs/promises';
import { PAGE_SIZE } from '@fitdoc/interface';

const MIB = 2 ** 20;
/** No two batches of a checkpoint, 4 MiB each, that lie near one another hold the same. */
const TILE_BYTES = 32 * MIB;
const GIB_IN_MIB = 1024;
/** QEMU's pc: what does not fit below, where there is more than 3.5 GiB, lies from 4 GiB up. */
const LOW_MIB = 3 * GIB_IN_MIB;

/** A part of a guest's memory that is filled before it starts. */
export interface Filled {
  /** Guest physical, MiB. */
  readonly from: number;
  readonly mebibytes: number;
}

/** All memory from `from` MiB up of a guest of `memory` MiB, in parts of at most 1 GiB, which QEMU can load. */
export function parts(from: number, memory: number): Filled[] {
  const low = memory > 3.5 * GIB_IN_MIB ? LOW_MIB : memory;
  return [...cut(from, low), ...cut(4 * GIB_IN_MIB, 4 * GIB_IN_MIB + memory - low)];
}

function* cut(from: number, end: number): Generator<Filled> {
  for (let at = from; at < end; at += GIB_IN_MIB)
    yield { from: at, mebibytes: Math.min(GIB_IN_MIB, end - at) };
}

/** 32 MiB as a guest's memory might be: one page in eight is zero, of the others half is random, half repeats. */
export function makeTile(): Buffer {
  const tile = Buffer.alloc(TILE_BYTES);
  const words = new Uint32Array(tile.buffer, tile.byteOffset, TILE_BYTES / 4);
  let state = 0x9e3779b9;
  for (let page = 0; page < TILE_BYTES / PAGE_SIZE; page++) {
    if (page % 8 === 0) continue;
    const first = (page * PAGE_SIZE) / 4;
    for (let word = first; word < first + PAGE_SIZE / 8; word++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[word] = state;
    }
    tile.fill(`row ${page}; `, page * PAGE_SIZE + PAGE_SIZE / 2, (page + 1) * PAGE_SIZE);
  }
  return tile;
}

/** Writes a part's contents: the tile, again and again. */
export async function writeFilling(file: string, tile: Buffer, { mebibytes }: Filled): Promise<void> {
  const handle: FileHandle = await open(file, 'w');
  try {
    for (let left = mebibytes * MIB; left > 0; left -= tile.length)
      await handle.writeFile(tile.subarray(0, Math.min(left, tile.length)));
  } finally {
    await handle.close();
  }
}

/** What a part's last MiB holds. */
export function lastMebibyte(tile: Buffer, { mebibytes }: Filled): Buffer {
  const from = ((mebibytes - 1) * MIB) % tile.length;
  return tile.subarray(from, from + MIB);
}
