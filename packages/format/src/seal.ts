import { createHash } from 'node:crypto';
import { xxh64 } from '@node-rs/xxhash';
import { CONTENT_HASH_DOMAIN, HASH_SIZE, RECORD_BATCH } from './layout.js';

/** What protects a record's payload: a fast checksum against accidents, a strong hash against all else. */
export interface RecordSeal {
  readonly checksum: bigint;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** The first 32 bytes of the BLAKE2b-512 hash (RFC 7693) of the parts, one after the other. */
export function strongHash(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const hash = createHash('blake2b512');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest().subarray(0, HASH_SIZE));
}

/** XXH64 of a record's payload; its seed holds the record's length (high half) and type (low half). */
export function recordChecksum(type: number, payload: Uint8Array): bigint {
  return xxh64(payload, (BigInt(payload.length) << 32n) | BigInt(type));
}

export function sealRecord(type: number, payload: Uint8Array): RecordSeal {
  return { checksum: recordChecksum(type, payload), hash: strongHash(payload) };
}

/**
 * Computes what the writer needs of an encoded batch, so that the workers which encode can do it: pass the
 * result as the content item's `seal`. The bytes must not change afterwards.
 */
export function sealBatch(encoded: Uint8Array): RecordSeal {
  return sealRecord(RECORD_BATCH, encoded);
}

/** The hash over everything in a checkpoint but its END record. */
export function contentHashOf(
  prefix: Uint8Array,
  indexHash: Uint8Array,
  summaryHash: Uint8Array,
): Uint8Array {
  return strongHash(CONTENT_HASH_DOMAIN, prefix, indexHash, summaryHash);
}

/** A checkpoint's id: the first 16 bytes of its content hash, as 32 hex digits. */
export function idOf(contentHash: string): string {
  return contentHash.slice(0, 32);
}
