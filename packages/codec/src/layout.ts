/** First four bytes of an encoded batch, read as text: the layout that spec/batch-v1.md describes. */
export const MAGIC = 'FDB1';

/** Bytes before the compressor's name: magic, pages, column count, name length. */
export const PREFIX_SIZE = 8;
/** Bytes of a column's entry: id, transform, method, reserved, raw length, stored length. */
export const ENTRY_SIZE = 12;
export const NAME_PATTERN = /^[a-z0-9-]{1,16}$/;

/** The columns in the order in which they are stored. The numbers are part of the format. */
export const COLUMN = { gfns: 1, kinds: 2, masks: 3, nonzero: 4, words: 5, pages: 6, copies: 7 } as const;
export type ColumnName = keyof typeof COLUMN;
export const COLUMN_NAMES: readonly ColumnName[] = [
  'gfns',
  'kinds',
  'masks',
  'nonzero',
  'words',
  'pages',
  'copies',
];

/** What was done to a column's raw bytes before compression. Part of the format. */
export const TRANSFORM_NONE = 0;
/** Byte k of every 8-byte word, for k from 0 to 7. */
export const TRANSFORM_SHUFFLE = 1;

/** A column's stored bytes are its (transformed) raw bytes. */
export const METHOD_PLAIN = 0;
/** A column's stored bytes went through the batch's compressor. */
export const METHOD_COMPRESSED = 1;

/** A run takes at most two varints of five bytes, so no gfns column is longer than ten bytes a page. */
export const MAX_RUN_BYTES = 10;
