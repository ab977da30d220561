import { PAGE_SIZE, WORD_SIZE } from '@fitdoc/interface';
import type { PageBatch } from '@fitdoc/interface';
import { compressTransiently } from './compressors/transient.js';
import { separateCopies } from './copies.js';
import { encodeGfns } from './gfns.js';
import type { ColumnName } from './layout.js';
import {
  COLUMN,
  ENTRY_SIZE,
  MAGIC,
  METHOD_COMPRESSED,
  METHOD_PLAIN,
  PREFIX_SIZE,
  TRANSFORM_NONE,
  TRANSFORM_SHUFFLE,
} from './layout.js';
import type { EncodeSettings } from './encode-settings.js';
import { checkShape } from './shape.js';
import { shuffle } from './shuffle.js';
import { shufflePays } from './shuffle-choice.js';
import type { EncodedBatch } from './types.js';
import type { SparseWords } from './zero-words.js';
import { hasZeroWords, separateZeroWords } from './zero-words.js';

const NOTHING = new Uint8Array(0);

interface StoredColumn {
  readonly name: ColumnName;
  readonly transform: number;
  readonly method: number;
  readonly rawLength: number;
  readonly stored: Uint8Array;
}

/** Lays a batch out in columns and compresses each; see spec/batch-v1.md. */
export function encodeBatch(batch: PageBatch, settings: EncodeSettings): EncodedBatch {
  const counts = checkShape(batch);
  const sparse = separateZeroWordsIfMany(batch.words, settings);
  const whole = separateCopies(batch.pages, settings.scratch);
  const raw: readonly (readonly [ColumnName, Uint8Array])[] = [
    ['gfns', encodeGfns(batch.gfns)],
    ['kinds', batch.kinds],
    ['masks', batch.masks],
    ['nonzero', sparse?.nonzero ?? NOTHING],
    ['words', sparse?.words ?? batch.words],
    ['pages', whole.pages],
    ['copies', whole.copies],
  ];
  const columns = raw
    .filter(([, bytes]) => bytes.length > 0)
    .map(([name, bytes]) => storeColumn(name, bytes, settings));
  return {
    bytes: assemble(batch.gfns.length, settings.compressor.name, columns),
    pages: batch.gfns.length,
    rawBytes: batch.gfns.length * PAGE_SIZE,
    changedWords: batch.words.length / WORD_SIZE,
    wholePages: counts.whole,
    zeroPages: counts.zero,
    columns: columns.map(({ name, rawLength, stored, method }) => ({
      name,
      rawBytes: rawLength,
      storedBytes: stored.length,
      compressor: method === METHOD_PLAIN ? 'none' : settings.compressor.name,
    })),
  };
}

// A compressor takes scattered zeros for little: leaving out fewer than these costs more time than it saves bytes.
const LEAST_ZEROS_COMPRESSED = 1 / 10;
// Uncompressed, a zero word costs 64 bits, and a bitmap 1 bit for each word.
const LEAST_ZEROS_PLAIN = 1 / 32;

function separateZeroWordsIfMany(words: Uint8Array, settings: EncodeSettings): SparseWords | undefined {
  const leastShare = settings.compressor.name === 'none' ? LEAST_ZEROS_PLAIN : LEAST_ZEROS_COMPRESSED;
  return hasZeroWords(words, leastShare) ? separateZeroWords(words, settings.scratch) : undefined;
}

function storeColumn(name: ColumnName, raw: Uint8Array, settings: EncodeSettings): StoredColumn {
  const rawLength = raw.length;
  if (settings.compressor.name === 'none') {
    return { name, transform: TRANSFORM_NONE, method: METHOD_PLAIN, rawLength, stored: raw };
  }
  const shuffled = name === 'words' && shufflePays(raw, settings);
  const transform = shuffled ? TRANSFORM_SHUFFLE : TRANSFORM_NONE;
  const level = name === 'pages' ? settings.pagesLevel : settings.level;
  const input = shuffled ? shuffle(raw, settings.scratch.take('shuffled', rawLength)) : raw;
  const compressed = compressTransiently(settings.compressor, input, level);
  if (compressed.length < rawLength) {
    const stored = settings.scratch.take(`stored ${name}`, compressed.length);
    stored.set(compressed);
    return { name, transform, method: METHOD_COMPRESSED, rawLength, stored };
  }
  return { name, transform: TRANSFORM_NONE, method: METHOD_PLAIN, rawLength, stored: raw };
}

function assemble(pages: number, compressor: string, columns: readonly StoredColumn[]): Uint8Array {
  const head = PREFIX_SIZE + compressor.length + columns.length * ENTRY_SIZE;
  const total = columns.reduce((sum, column) => sum + column.stored.length, head);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  putText(bytes, 0, MAGIC);
  view.setUint16(4, pages, true);
  bytes[6] = columns.length;
  bytes[7] = compressor.length;
  putText(bytes, PREFIX_SIZE, compressor);
  let entry = PREFIX_SIZE + compressor.length;
  let data = head;
  for (const column of columns) {
    bytes[entry] = COLUMN[column.name];
    bytes[entry + 1] = column.transform;
    bytes[entry + 2] = column.method;
    view.setUint32(entry + 4, column.rawLength, true);
    view.setUint32(entry + 8, column.stored.length, true);
    bytes.set(column.stored, data);
    entry += ENTRY_SIZE;
    data += column.stored.length;
  }
  return bytes;
}

function putText(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index);
}
