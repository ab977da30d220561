import { randomBytes } from 'node:crypto';
import { FitdocError } from '@fitdoc/interface';

/** Bytes of an object that are sealed as one. */
export const CHUNK_BYTES = 65_536;
export const TAG_BYTES = 16;
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
export const HEADER_BYTES = 48;
export const KEY_ID_BYTES = 8;

const MAGIC = Buffer.from('FDSEALED', 'latin1');
const VERSION = 1;
/** AES-256-GCM under a key that HKDF-SHA-256 derives for each object. */
const SUITE = 1;
const KEY_ID_AT = 12;
const SALT_AT = KEY_ID_AT + KEY_ID_BYTES;

/** What stands before an object's chunks. */
export interface Header {
  /** The whole header. */
  readonly bytes: Buffer;
  /** Names the repository key under which the object is sealed: 16 hex digits. */
  readonly keyId: string;
}

/** A header for a new object: 28 random bytes in it are that object's alone. */
export function newHeader(keyId: string): Header {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes);
  bytes[8] = VERSION;
  bytes[9] = SUITE;
  bytes.write(keyId, KEY_ID_AT, 'hex');
  randomBytes(HEADER_BYTES - SALT_AT).copy(bytes, SALT_AT);
  return { bytes, keyId };
}

/** The part of a header that is no salt, and the salt. */
export function partsOf(header: Header): { readonly fixed: Buffer; readonly salt: Buffer } {
  return { fixed: header.bytes.subarray(0, SALT_AT), salt: header.bytes.subarray(SALT_AT) };
}

/** Errors: FORMAT_FOREIGN for what is not sealed, FORMAT_VERSION, FORMAT_TRUNCATED. */
export function parseHeader(start: Uint8Array, key: string): Header {
  const bytes = Buffer.from(start.subarray(0, HEADER_BYTES));
  const magic = bytes.subarray(0, MAGIC.length);
  if (!magic.equals(MAGIC.subarray(0, magic.length))) {
    throw new FitdocError('FORMAT_FOREIGN', `The object ${key} is not sealed.`, {
      hint: 'In an encrypted repository only sealed objects are read: this one was put there by something else.',
      details: { key },
    });
  }
  if (bytes.length < HEADER_BYTES) throw cutOff(key);
  if (bytes[8] !== VERSION || bytes[9] !== SUITE || bytes[10] !== 0 || bytes[11] !== 0) {
    throw new FitdocError(
      'FORMAT_VERSION',
      `The object ${key} is sealed in a way that this program does not know.`,
      {
        hint: 'Use a later version of fitdoc.',
        details: { key, version: bytes[8], suite: bytes[9] },
      },
    );
  }
  return { bytes, keyId: bytes.toString('hex', KEY_ID_AT, SALT_AT) };
}

/** FORMAT_TRUNCATED for an object that ends where no sealed object can. */
export function cutOff(key: string): FitdocError {
  return new FitdocError('FORMAT_TRUNCATED', `The sealed object ${key} is cut off.`, {
    hint: 'Bring it back from a copy.',
    details: { key },
  });
}

/** How many bytes an object of `plain` bytes takes when it is sealed. */
export function sealedSize(plain: number): number {
  return HEADER_BYTES + plain + TAG_BYTES * Math.max(1, Math.ceil(plain / CHUNK_BYTES));
}

/** How many bytes are sealed in an object of `sealed` bytes; of what is too short to be one, 0. */
export function plainSize(sealed: number): number {
  const body = sealed - HEADER_BYTES;
  return Math.max(0, body - TAG_BYTES * Math.max(1, Math.ceil(body / SEALED_CHUNK_BYTES)));
}
