/** The newest format version: that of checkpoints which hold disks. */
export const FORMAT_VERSION = 2;
/** The version of checkpoints without disks, so that readers of before still read those. */
export const DISKLESS_VERSION = 1;
/** The oldest format version that the reader reads. */
export const OLDEST_FORMAT_VERSION = 1;

/** First bytes of a checkpoint: `fitdoc`, then a line ending that a text-mode transfer would break. */
export const MAGIC = new TextEncoder().encode('fitdoc\r\n');
/** Last bytes of a checkpoint. */
export const CLOSING_MAGIC = new TextEncoder().encode('/fitdoc\n');

/** Bytes of the prefix: magic, version, check. */
export const PREFIX_SIZE = 16;
/** Bytes of a record's header: type, length, checksum. */
export const RECORD_HEADER_SIZE = 16;
/** Bytes of the END record's payload. */
export const END_PAYLOAD_SIZE = 112;
/** Bytes of the whole END record, which is the end of the object. */
export const END_SIZE = RECORD_HEADER_SIZE + END_PAYLOAD_SIZE;
/** Bytes of an index entry. */
export const INDEX_ENTRY_SIZE = 72;
/** Bytes of a strong hash. */
export const HASH_SIZE = 32;
/** What the content hash is computed over begins with this text. */
export const CONTENT_HASH_DOMAIN = 'fitdoc checkpoint content\n';

/** Set in the type of a record that a reader may skip when it does not know it. */
export const OPTIONAL_BIT = 0x8000_0000;

const typeOf = (name: string): number =>
  new DataView(new TextEncoder().encode(name).buffer).getUint32(0, true);

/** Record types: four ASCII characters read as a little-endian number. */
export const RECORD_HEADER = typeOf('HEAD');
export const RECORD_BATCH = typeOf('BTCH');
export const RECORD_DISK = typeOf('DISK');
export const RECORD_DEVICE_STATE = typeOf('DEVS');
export const RECORD_EXTENSION = typeOf('EXTN');
export const RECORD_INDEX = typeOf('INDX');
export const RECORD_SUMMARY = typeOf('SUMM');
export const RECORD_END = typeOf('END.');

/** The type with its optional bit cleared. */
export function baseType(type: number): number {
  return (type & ~OPTIONAL_BIT) >>> 0;
}

/** Whether a reader that does not know the type may skip the record. */
export function isOptional(type: number): boolean {
  return (type & OPTIONAL_BIT) !== 0;
}

/** A type for messages: its four characters where they are printable, else its number. */
export function typeName(type: number): string {
  const code = baseType(type);
  const text = String.fromCharCode(code & 255, (code >> 8) & 255, (code >> 16) & 255, code >>> 24);
  return /^[\x21-\x7e]{4}$/.test(text) ? text : `0x${type.toString(16).padStart(8, '0')}`;
}

/** Bytes that a record with this payload takes: header, payload, zeros up to a multiple of 8. */
export function recordSize(length: number): number {
  return RECORD_HEADER_SIZE + align8(length);
}

/** The least multiple of 8 that is not below `value`. */
export function align8(value: number): number {
  return Math.ceil(value / 8) * 8;
}
