import { FitdocError, type Json } from '@fitdoc/interface';
import { NumberWriter, readNumbers } from './varint.js';

/** A value of a column; undefined where the row has none. */
export type Cell = Json | undefined;

/**
 * How a column's values lie: `hex`, strings of so many bytes each in hex; `integer`, differences; `milli`, numbers
 * of three decimals as integers of thousandths; `float`, doubles; `text`, each distinct value's JSON once, and
 * numbers into that list.
 */
export type ColumnType = 'hex' | 'integer' | 'milli' | 'float' | 'text';

export interface EncodedColumn {
  readonly type: ColumnType;
  readonly bytes: Uint8Array;
}

/** Encodes values that are all there. The type follows from them; every value comes back as it was. */
export function encodeCells(cells: readonly Json[]): EncodedColumn {
  const type = typeOf(cells);
  return { type, bytes: ENCODERS[type](cells as never) };
}

/** FORMAT_DAMAGED for bytes that are no `count` values of this type. */
export function decodeCells(type: ColumnType, bytes: Uint8Array, count: number): Json[] {
  return DECODERS[type](bytes, count);
}

function typeOf(cells: readonly Json[]): ColumnType {
  const first = cells[0];
  if (typeof first === 'string' && cells.length > 1 && first.length >= 12 && first.length % 2 === 0) {
    const hex = (cell: Json) =>
      typeof cell === 'string' && cell.length === first.length && /^[0-9a-f]+$/.test(cell);
    if (cells.every(hex)) return 'hex';
  }
  if (!cells.every((cell) => typeof cell === 'number' && !Object.is(cell, -0))) return 'text';
  const numbers = cells as readonly number[];
  if (numbers.every(isSmall)) return 'integer';
  return numbers.every((value) => isSmall(value * 1000) || inThousandths(value)) ? 'milli' : 'float';
}

/** Differences of two such numbers, doubled, are still exact. */
function isSmall(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) < 2 ** 51;
}

function inThousandths(value: number): boolean {
  const thousandths = Math.round(value * 1000);
  return isSmall(thousandths) && thousandths / 1000 === value;
}

const ENCODERS = {
  hex: (cells: readonly string[]) => new Uint8Array(Buffer.from(cells.join(''), 'hex')),
  integer: encodeIntegers,
  milli: (cells: readonly number[]) => encodeIntegers(cells.map((cell) => Math.round(cell * 1000))),
  float: (cells: readonly number[]) => {
    const view = new DataView(new ArrayBuffer(cells.length * 8));
    for (const [index, cell] of cells.entries()) view.setFloat64(index * 8, cell, true);
    return new Uint8Array(view.buffer);
  },
  text: encodeTexts,
} as const;

const DECODERS: Record<ColumnType, (bytes: Uint8Array, count: number) => Json[]> = {
  hex(bytes, count) {
    const each = count === 0 ? 0 : bytes.length / count;
    if (!Number.isInteger(each)) throw damaged('hex');
    // One string, of which those of the rows are parts.
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
    return Array.from({ length: count }, (_, row) => all.slice(row * each * 2, (row + 1) * each * 2));
  },
  integer: decodeIntegers,
  milli: (bytes, count) => decodeIntegers(bytes, count).map((value) => value / 1000),
  float(bytes, count) {
    if (bytes.length !== count * 8) throw damaged('doubles');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return Array.from({ length: count }, (_, row) => view.getFloat64(row * 8, true));
  },
  text: decodeTexts,
};

function encodeIntegers(cells: readonly number[]): Uint8Array {
  const writer = new NumberWriter();
  let before = 0;
  for (const cell of cells) {
    writer.push(cell - before);
    before = cell;
  }
  return writer.take();
}

function decodeIntegers(bytes: Uint8Array, count: number): number[] {
  const cells = readNumbers(bytes, count);
  let before = 0;
  for (let row = 0; row < count; row++) cells[row] = before += cells[row]!;
  return cells;
}

function encodeTexts(cells: readonly Json[]): Uint8Array {
  const numbers = new Map<string, number>();
  const writer = new NumberWriter();
  for (const cell of cells) {
    const text = JSON.stringify(cell);
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    writer.push(number);
  }
  const list = Buffer.from(`[${[...numbers.keys()].join(',')}]`);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(list.length);
  return new Uint8Array(Buffer.concat([length, list, writer.take()]));
}

function decodeTexts(bytes: Uint8Array, count: number): Json[] {
  if (bytes.length < 4) throw damaged('texts');
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = 4 + buffer.readUInt32LE(0);
  const list = JSON.parse(buffer.toString('utf8', 4, end)) as Json[];
  const cells = readNumbers(bytes.subarray(end), count) as Json[];
  for (let row = 0; row < count; row++) {
    const cell = list[cells[row] as number];
    if (cell === undefined) throw damaged('texts');
    cells[row] = cell;
  }
  return cells;
}

function damaged(what: string): FitdocError {
  return new FitdocError('FORMAT_DAMAGED', `A column of ${what} is damaged.`);
}
