// Reads what the specification says, with other implementations of the primitives than the package's, and shares no
// line with it.
import { gcm } from '@noble/ciphers/aes.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { sha256 } from '@noble/hashes/sha2.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const hex = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'hex'));

export function keyIdOf(key: Uint8Array): string {
  return Buffer.from(hkdf(sha256, key, new Uint8Array(), text('fitdoc sealing-v1 key id'), 8)).toString(
    'hex',
  );
}

/** Opens a sealed object; throws where anything of it is not as it was sealed. */
export function openObject(sealed: Uint8Array, key: Uint8Array, name: string, scope: string): Buffer {
  if (Buffer.from(sealed.subarray(0, 8)).toString('latin1') !== 'FDSEALED') throw new Error('magic');
  if (Buffer.from(sealed.subarray(8, 12)).toString('hex') !== '01010000') throw new Error('version');
  if (Buffer.from(sealed.subarray(12, 20)).toString('hex') !== keyIdOf(key)) throw new Error('key');
  const info = Buffer.concat([
    text('fitdoc sealing-v1 object\0'),
    sealed.subarray(0, 20),
    text(`${scope}\0${name}`),
  ]);
  const own = hkdf(sha256, key, sealed.subarray(20, 48), info, 32);
  const parts: Uint8Array[] = [];
  for (let at = 48, number = 0; at < sealed.length || number === 0; at += 65_552, number++) {
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setUint32(7, number);
    nonce[11] = at + 65_552 >= sealed.length ? 1 : 0;
    parts.push(gcm(own, nonce).decrypt(sealed.subarray(at, at + 65_552)));
  }
  return Buffer.concat(parts);
}

export interface PassphraseSlot {
  readonly id: string;
  readonly kdf: { cost: number; blockSize: number; parallelization: number; salt: string };
  readonly nonce: string;
  readonly wrapped: string;
}

export function openPassphraseSlot(
  slot: PassphraseSlot,
  passphrase: string,
  repositoryId: string,
): Uint8Array {
  const { cost, blockSize, parallelization, salt } = slot.kdf;
  const key = scrypt(text(passphrase), hex(salt), { N: cost, r: blockSize, p: parallelization, dkLen: 32 });
  const bound = text(`fitdoc key-v1 passphrase\0${repositoryId}\0${slot.id}`);
  return gcm(key, hex(slot.nonce), bound).decrypt(Buffer.from(slot.wrapped, 'base64'));
}

export function openKeySlot(
  slot: Pick<PassphraseSlot, 'id' | 'nonce' | 'wrapped'>,
  secret: Uint8Array,
  repositoryId: string,
): Uint8Array {
  const bound = text(`fitdoc key-v1 key\0${repositoryId}\0${slot.id}`);
  const key = hkdf(sha256, secret, new Uint8Array(), bound, 32);
  return gcm(key, hex(slot.nonce), bound).decrypt(Buffer.from(slot.wrapped, 'base64'));
}
