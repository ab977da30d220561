import { xxh64 } from '@node-rs/xxhash';
import { dataView, equalBytes } from './bytes.js';
import { damaged, foreign, truncated, wrongVersion } from './failures.js';
import { FORMAT_VERSION, MAGIC, OLDEST_FORMAT_VERSION, PREFIX_SIZE } from './layout.js';

/** The first 16 bytes of every checkpoint of every version: magic, version, check over both. */
export function encodePrefix(version: number = FORMAT_VERSION): Uint8Array {
  const bytes = new Uint8Array(PREFIX_SIZE);
  bytes.set(MAGIC);
  const view = dataView(bytes);
  view.setUint32(8, version, true);
  view.setUint32(12, prefixCheck(bytes), true);
  return bytes;
}

/** Checks that `bytes` begin a checkpoint that this reader reads; gives its version. */
export function decodePrefix(bytes: Uint8Array): number {
  const known = Math.min(bytes.length, MAGIC.length);
  if (!equalBytes(bytes.subarray(0, known), MAGIC.subarray(0, known))) {
    throw foreign('The object does not begin like a checkpoint.');
  }
  if (bytes.length < PREFIX_SIZE) throw truncated(`The object ends after ${bytes.length} bytes.`);
  const view = dataView(bytes);
  if (view.getUint32(12, true) !== prefixCheck(bytes)) throw damaged('The first 16 bytes are damaged.');
  return checkVersion(view.getUint32(8, true));
}

/** FORMAT_VERSION unless this reader reads the version. */
export function checkVersion(version: number): number {
  if (version < OLDEST_FORMAT_VERSION || version > FORMAT_VERSION) {
    throw wrongVersion(version, OLDEST_FORMAT_VERSION, FORMAT_VERSION);
  }
  return version;
}

function prefixCheck(bytes: Uint8Array): number {
  return Number(xxh64(bytes.subarray(0, 12)) & 0xffff_ffffn);
}
