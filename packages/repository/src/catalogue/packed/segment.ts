import { createHash } from 'node:crypto';
import { createZstdCompressor } from '@fitdoc/codec';
import { FitdocError, isFitdocError, type Compressor, type Json } from '@fitdoc/interface';
import { z } from 'zod';
import type { CheckpointEntry } from '../entry.js';
import { decodeCells, encodeCells, type Cell } from './columns.js';
import { columnsOf, entriesOf, MEMBERS, type Columns } from './entry-columns.js';

/** What a segment says: of which objects of one directory it holds the entries. */
export interface Segment {
  /** In the order of their keys. */
  readonly entries: readonly CheckpointEntry[];
  /** Names of objects in its stretch that could not be read, or not be packed; they are read as they are. */
  readonly unread: readonly string[];
}

const MAGIC = 'FDCATSEG';
const VERSION = 1;
const FIXED = 16;
const LEVEL = 3;
/** Raw bytes that are compressed at a time. */
const BLOCK = 1 << 20;

/** What a reader takes. Segments have at most 131,072 entries. */
const LIMITS = { header: 4 << 20, entries: 1 << 17, raw: 64 << 20 } as const;

const headerSchema = z.object({
  count: z.number().int().min(0).max(LIMITS.entries),
  unread: z.array(z.string()),
  columns: z.array(
    z.object({
      name: z.string(),
      type: z.enum(['hex', 'integer', 'milli', 'float', 'text']),
      /** The column begins with a bit a row: whether there is a value. */
      sparse: z.boolean(),
      raw: z.number().int().min(0).max(LIMITS.raw),
      /** Bytes of the packed blocks; one that would not shrink lies as it is. */
      packed: z.array(z.number().int().min(0).max(BLOCK)),
    }),
  ),
});

type Header = z.infer<typeof headerSchema>;

let loading: Promise<Compressor> | undefined;
const zstd = (): Promise<Compressor> => (loading ??= createZstdCompressor());

/** A segment's object, and the digest that its key carries: half a SHA-256 of all its bytes. */
export async function encodeSegment(segment: Segment): Promise<{ bytes: Uint8Array; digest: string }> {
  const compressor = await zstd();
  const blocks: Uint8Array[] = [];
  const columns: Header['columns'] = [];
  for (const [name, cells] of columnsOf(segment.entries)) {
    const sparse = cells.some((cell) => cell === undefined);
    const { type, bytes } = encodeCells(cells.filter((cell) => cell !== undefined));
    const raw = sparse ? Buffer.concat([presence(cells), bytes]) : bytes;
    const packed = pack(raw, compressor);
    blocks.push(...packed);
    columns.push({ name, type, sparse, raw: raw.length, packed: packed.map(({ length }) => length) });
  }
  const header = Buffer.from(
    JSON.stringify({ count: segment.entries.length, unread: [...segment.unread], columns } satisfies Header),
  );
  const fixed = Buffer.alloc(FIXED);
  fixed.write(MAGIC, 'latin1');
  fixed.writeUInt32LE(VERSION, 8);
  fixed.writeUInt32LE(header.length, 12);
  const bytes = new Uint8Array(Buffer.concat([fixed, header, ...blocks]));
  return { bytes, digest: digestOf(bytes) };
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 32);
}

/** Reads a segment of objects in `directory`. FORMAT_DAMAGED for whatever is none. */
export async function decodeSegment(bytes: Uint8Array, directory: string): Promise<Segment> {
  const compressor = await zstd();
  try {
    const { header, at } = readHeader(bytes);
    const columns: Columns = new Map();
    let from = at;
    for (const column of header.columns) {
      const length = column.packed.reduce((sum, size) => sum + size, 0);
      const raw = unpack(bytes.subarray(from, from + length), column, compressor);
      columns.set(column.name, cellsOf(raw, column, header.count));
      from += length;
    }
    const entries = header.count === 0 ? [] : entriesOf(columns, header.count, directory);
    return { entries, unread: header.unread };
  } catch (error) {
    if (isFitdocError(error, 'FORMAT_DAMAGED')) throw error;
    throw damaged('it cannot be read', error);
  }
}

function readHeader(bytes: Uint8Array): { header: Header; at: number } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.toString('latin1', 0, 8) !== MAGIC) throw damaged('it is something else');
  if (buffer.readUInt32LE(8) !== VERSION) throw damaged('it has another version');
  const length = buffer.readUInt32LE(12);
  if (length > LIMITS.header) throw damaged('its header is too long');
  const header = headerSchema.parse(JSON.parse(buffer.toString('utf8', FIXED, FIXED + length)));
  for (const name of ['key.number', 'key.created', 'key.nonce', ...MEMBERS]) {
    const complete = header.columns.some((column) => column.name === name && !column.sparse);
    if (header.count > 0 && !complete) throw damaged(`it has no ${name}`);
  }
  return { header, at: FIXED + length };
}

function presence(cells: readonly Cell[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(cells.length / 8));
  for (const [row, cell] of cells.entries()) if (cell !== undefined) bits[row >> 3]! |= 1 << (row & 7);
  return bits;
}

function cellsOf(raw: Uint8Array, { type, sparse }: Header['columns'][number], count: number): Cell[] {
  if (!sparse) return decodeCells(type, raw, count);
  const bits = raw.subarray(0, Math.ceil(count / 8));
  const isThere = (row: number) => ((bits[row >> 3]! >> (row & 7)) & 1) === 1;
  let present = 0;
  for (let row = 0; row < count; row++) if (isThere(row)) present++;
  const values: Json[] = decodeCells(type, raw.subarray(bits.length), present);
  let next = 0;
  return Array.from({ length: count }, (_, row) => (isThere(row) ? values[next++] : undefined));
}

function pack(raw: Uint8Array, compressor: Compressor): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < raw.length; at += BLOCK) {
    const block = raw.subarray(at, at + BLOCK);
    const packed = compressor.compress(block, LEVEL);
    blocks.push(packed.length < block.length ? packed : block);
  }
  return blocks;
}

function unpack(bytes: Uint8Array, column: Header['columns'][number], compressor: Compressor): Uint8Array {
  const raw = new Uint8Array(column.raw);
  let from = 0;
  for (const [index, length] of column.packed.entries()) {
    const at = index * BLOCK;
    const size = Math.min(BLOCK, column.raw - at);
    const block = bytes.subarray(from, from + length);
    if (size <= 0 || block.length !== length) throw damaged('a column is cut off');
    raw.set(length === size ? block : compressor.decompress(block, size), at);
    from += length;
  }
  if (column.packed.length !== Math.ceil(column.raw / BLOCK)) throw damaged('a column is cut off');
  return raw;
}

function damaged(what: string, cause?: unknown): FitdocError {
  return new FitdocError('FORMAT_DAMAGED', `A segment of the catalogue is damaged: ${what}.`, { cause });
}
