import { BLOCK_SIZE, MAX_DISK_BYTES, MAX_PAGES, type Json } from '@fitdoc/interface';
import { Fields } from './fields.js';
import { LIMITS } from './limits.js';
import type { StoredDisk } from './types.js';

const KINDS = ['full', 'increment'] as const;
const MOMENT = /^[\w.-]{1,64}$/;

/** A span of a disk as the header implies it. Spaces are numbered through from 1, disk after disk; 0 is the memory. */
export interface SpanPlace {
  readonly disk: number;
  readonly firstBlock: number;
  readonly blocks: number;
}

/** The spans of a header's disks: the first is space 1. */
export function spansOf(disks: readonly StoredDisk[]): SpanPlace[] {
  return disks.flatMap(({ sizeBytes }, disk) => {
    const blocks = Math.ceil(sizeBytes / BLOCK_SIZE);
    return Array.from({ length: Math.ceil(blocks / MAX_PAGES) }, (_, span) => {
      const firstBlock = span * MAX_PAGES;
      return { disk, firstBlock, blocks: Math.min(MAX_PAGES, blocks - firstBlock) };
    });
  });
}

export function disksToJson(disks: readonly StoredDisk[]): Json {
  return disks.map(({ name, sizeBytes, kind, moment }) => ({
    ...{ name, sizeBytes, blockSize: BLOCK_SIZE, kind },
    ...(moment !== undefined && { moment }),
  }));
}

/** Reads and checks the header's `disks`; in a base every disk is full. */
export function disksFromJson(
  list: readonly Json[],
  ofBase: boolean,
  fail: (message: string) => Error,
): StoredDisk[] {
  const names = new Set<string>();
  if (list.length === 0 || list.length > LIMITS.disks) throw fail('its number of disks.');
  return list.map((item) => {
    const fields = new Fields(item, 'A stored disk', fail);
    const moment = fields.optionalText('moment', MOMENT);
    const disk: StoredDisk = {
      name: fields.text('name'),
      sizeBytes: fields.count('sizeBytes'),
      kind: fields.oneOf('kind', KINDS),
      ...(moment !== undefined && { moment }),
    };
    if (disk.name === '' || names.has(disk.name)) throw fields.bad('name');
    names.add(disk.name);
    if (disk.sizeBytes > MAX_DISK_BYTES) throw fields.bad('sizeBytes');
    if (fields.count('blockSize') !== BLOCK_SIZE) throw fields.bad('blockSize');
    if (ofBase && disk.kind !== 'full') throw fields.bad('kind');
    return disk;
  });
}
