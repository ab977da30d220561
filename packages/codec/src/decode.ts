import { MASK_SIZE, PAGE_SIZE, WORD_SIZE } from '@fitdoc/interface';
import type { Compressor, PageBatch } from '@fitdoc/interface';
import type { CompressorRegistry } from './compressors/registry.js';
import { restoreCopies } from './copies.js';
import type { Directory } from './directory.js';
import { readDirectory } from './directory.js';
import { damaged } from './errors.js';
import { decodeGfns } from './gfns.js';
import type { ColumnName } from './layout.js';
import { MAX_RUN_BYTES } from './layout.js';
import { countMaskBits } from './masks.js';
import { countKinds } from './shape.js';
import { unshuffle } from './shuffle.js';
import { restoreZeroWords } from './zero-words.js';

/**
 * Reads an encoded batch. A column is decompressed only after its raw length was found to be what the columns
 * before it imply, so memory stays within what 1024 pages can hold.
 */
export function decodeBatch(bytes: Uint8Array, compressors: CompressorRegistry): PageBatch {
  const directory = readDirectory(bytes);
  const reader = new ColumnReader(directory, compressors.get(directory.compressor));
  const { pages } = directory;

  const gfns = decodeGfns(reader.upTo('gfns', pages * MAX_RUN_BYTES), pages);
  const kinds = reader.exactly('kinds', pages);
  const counts = countKinds(kinds);
  if (!counts) throw damaged('a page is of no known kind');
  const masks = reader.exactly('masks', counts.words * MASK_SIZE);
  const words = readWords(reader, countMaskBits(masks));
  const distinct = readDistinct(reader, counts.whole);
  const copies = reader.exactly('copies', distinct.length < counts.whole * PAGE_SIZE ? counts.whole * 2 : 0);
  return { gfns, kinds, masks, words, pages: restoreCopies(distinct, copies, counts.whole) };
}

function readWords(reader: ColumnReader, count: number): Uint8Array {
  if (!reader.has('nonzero')) return reader.exactly('words', count * WORD_SIZE);
  const nonzero = reader.exactly('nonzero', Math.ceil(count / 8));
  const spareBits = nonzero.length * 8 - count;
  if ((nonzero.at(-1) ?? 0) >> (8 - spareBits) !== 0) throw damaged('it marks words that are not there');
  const words = reader.exactly('words', countMaskBits(nonzero) * WORD_SIZE);
  return restoreZeroWords({ nonzero, words }, count);
}

function readDistinct(reader: ColumnReader, wholePages: number): Uint8Array {
  const distinct = reader.upTo('pages', wholePages * PAGE_SIZE, PAGE_SIZE);
  if (wholePages > 0 && distinct.length === 0) throw damaged('its whole pages are missing');
  return distinct;
}

/** Gives a batch's columns in raw form, each after a check of its length. */
class ColumnReader {
  constructor(
    private readonly directory: Directory,
    private readonly compressor: Compressor,
  ) {}

  has(name: ColumnName): boolean {
    return this.directory.columns.has(name);
  }

  exactly(name: ColumnName, length: number): Uint8Array {
    const claimed = this.directory.columns.get(name)?.rawLength ?? 0;
    if (claimed !== length) throw damaged(`its column ${name} has ${claimed} bytes where ${length} belong`);
    return this.#read(name);
  }

  upTo(name: ColumnName, limit: number, unit = 1): Uint8Array {
    const claimed = this.directory.columns.get(name)?.rawLength ?? 0;
    if (claimed > limit || claimed % unit !== 0) {
      throw damaged(`its column ${name} has ${claimed} bytes where up to ${limit} belong`);
    }
    return this.#read(name);
  }

  #read(name: ColumnName): Uint8Array {
    const column = this.directory.columns.get(name);
    if (!column) return new Uint8Array(0);
    const raw = column.compressed
      ? this.compressor.decompress(column.stored, column.rawLength)
      : new Uint8Array(column.stored);
    if (raw.length !== column.rawLength) throw damaged(`its column ${name} has another length than it says`);
    return column.shuffled ? unshuffle(raw) : raw;
  }
}
