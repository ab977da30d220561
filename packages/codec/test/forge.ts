import type { ColumnName } from '../src/layout.js';
import { COLUMN } from '../src/layout.js';

export interface ForgedColumn {
  readonly id: number;
  readonly transform: number;
  readonly method: number;
  readonly reserved: number;
  readonly rawLength: number;
  readonly stored: Uint8Array;
}

/** A plain, honest column, for a test to spoil. */
export function column(name: ColumnName, stored: Uint8Array): ForgedColumn {
  return { id: COLUMN[name], transform: 0, method: 0, reserved: 0, rawLength: stored.length, stored };
}

/** Puts a batch together from any columns, following the layout and nothing else. */
export function forge(pages: number, columns: readonly ForgedColumn[], compressor = 'zstd'): Uint8Array {
  const head = Buffer.alloc(8);
  head.write('FDB1', 0, 'latin1');
  head.writeUInt16LE(pages, 4);
  head.writeUInt8(columns.length, 6);
  head.writeUInt8(compressor.length, 7);
  const entries = columns.map((item) => {
    const entry = Buffer.from([item.id, item.transform, item.method, item.reserved, 0, 0, 0, 0, 0, 0, 0, 0]);
    entry.writeUInt32LE(item.rawLength, 4);
    entry.writeUInt32LE(item.stored.length, 8);
    return entry;
  });
  const parts = [head, Buffer.from(compressor, 'latin1'), ...entries, ...columns.map((item) => item.stored)];
  return Uint8Array.from(Buffer.concat(parts));
}
