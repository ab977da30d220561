import { MASK_SIZE, PAGE_SIZE, WORD_SIZE } from '@fitdoc/interface';
import type { Compressor, PageBatch } from '@fitdoc/interface';
import type { CompressorRegistry } from './compressors/registry.js';
import { decompressTransiently } from './compressors/transient.js';
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
export function decodeBatch(
  bytes: Uint8Array,
  compressors: CompressorRegistry,
  transient = false,
): PageBatch {
  const directory = readDirectory(bytes);
  const reader = new ColumnReader(directory, compressors.get(directory.compressor));
  const { pages } = directory;

  const gfns = decodeGfns(reader.upTo('gfns', pages * MAX_RUN_BYTES), pages);
  const kinds = reader.exactly('kinds', pages);
  const counts = countKinds(kinds);
  if (!counts) throw damaged('a page is of no known kind');
  const masks = reader.exactly('masks', counts.words * MASK_SIZE);
  const wordCount = countMaskBits(masks);
  const distinctBytes = distinctLength(reader, counts.whole);
  const copies = reader.exactly('copies', distinctBytes < counts.whole * PAGE_SIZE ? counts.whole * 2 : 0);
  // The larger one last: nothing is decompressed any more that could overwrite it.
  const wordsLast = wordCount * WORD_SIZE > distinctBytes;
  const early = wordsLast ? reader.read('pages') : undefined;
  const words = readWords(reader, wordCount, transient && wordsLast);
  const distinct = early ?? reader.read('pages', transient);
  return { gfns, kinds, masks, words, pages: restoreCopies(distinct, copies, counts.whole) };
}

function readWords(reader: ColumnReader, count: number, transient: boolean): Uint8Array {
  if (!reader.has('nonzero')) return reader.exactly('words', count * WORD_SIZE, transient);
  const nonzero = reader.exactly('nonzero', Math.ceil(count / 8));
  const spareBits = nonzero.length * 8 - count;
  if ((nonzero.at(-1) ?? 0) >> (8 - spareBits) !== 0) throw damaged('it marks words that are not there');
  const words = reader.exactly('words', countMaskBits(nonzero) * WORD_SIZE, true);
  return restoreZeroWords({ nonzero, words }, count);
}

function distinctLength(reader: ColumnReader, wholePages: number): number {
  const length = reader.lengthUpTo('pages', wholePages * PAGE_SIZE, PAGE_SIZE);
  if (wholePages > 0 && length === 0) throw damaged('its whole pages are missing');
  return length;
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

  exactly(name: ColumnName, length: number, transient = false): Uint8Array {
    const claimed = this.directory.columns.get(name)?.rawLength ?? 0;
    if (claimed !== length) throw damaged(`its column ${name} has ${claimed} bytes where ${length} belong`);
    return this.read(name, transient);
  }

  upTo(name: ColumnName, limit: number): Uint8Array {
    this.lengthUpTo(name, limit);
    return this.read(name);
  }

  /** Bytes of a column that may have so many, in units of so many. */
  lengthUpTo(name: ColumnName, limit: number, unit = 1): number {
    const claimed = this.directory.columns.get(name)?.rawLength ?? 0;
    if (claimed > limit || claimed % unit !== 0) {
      throw damaged(`its column ${name} has ${claimed} bytes where up to ${limit} belong`);
    }
    return claimed;
  }

  /** `transient`: it may lie in memory that the compressor's next call overwrites. Requires that its length was checked. */
  read(name: ColumnName, transient = false): Uint8Array {
    const column = this.directory.columns.get(name);
    if (!column) return new Uint8Array(0);
    const raw = column.compressed
      ? this.#decompress(column.stored, column.rawLength, transient || column.shuffled)
      : new Uint8Array(column.stored);
    if (raw.length !== column.rawLength) throw damaged(`its column ${name} has another length than it says`);
    return column.shuffled ? unshuffle(raw) : raw;
  }

  #decompress(stored: Uint8Array, rawLength: number, transient: boolean): Uint8Array {
    return transient
      ? decompressTransiently(this.compressor, stored, rawLength)
      : this.compressor.decompress(stored, rawLength);
  }
}
