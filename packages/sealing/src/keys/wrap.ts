import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { FitdocError } from '@fitdoc/interface';
import type * as Age from 'age-encryption';
import { KEY_BYTES, KeyRing } from './key-ring.js';
import { saysOtherKeys } from './refusals.js';
import type { Holder, Secret } from './secret.js';
import type { ScryptSettings, SlotRecord } from './slot-record.js';

/** What deriving a key from a passphrase costs: 128 MiB of memory, about a third of a second. */
export const DEFAULT_SCRYPT = { cost: 2 ** 17, blockSize: 8, parallelization: 1 } as const;
export type ScryptCost = Pick<ScryptSettings, 'cost' | 'blockSize' | 'parallelization'>;

const ALGORITHM = 'aes-256-gcm';
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const scryptAsync = promisify<Uint8Array, Uint8Array, number, object, Buffer>(scrypt);

/** Loaded where there is a recipient: few have one, and it is large. */
function loadAge(): Promise<typeof Age> {
  return import('age-encryption');
}

/** Where a slot belongs: it opens for no other repository, and as no other slot. */
export interface SlotPlace {
  readonly repositoryId: string;
  readonly id: string;
}

/** The members of a slot that depend on its kind. */
export type Wrapped =
  | Pick<Extract<SlotRecord, { kind: 'passphrase' }>, 'kind' | 'kdf' | 'nonce' | 'wrapped'>
  | Pick<Extract<SlotRecord, { kind: 'key' }>, 'kind' | 'fingerprint' | 'nonce' | 'wrapped'>
  | Pick<Extract<SlotRecord, { kind: 'recipient' }>, 'kind' | 'recipient' | 'wrapped'>;

/** Wraps a ring for a holder. ARGUMENT_INVALID for what is no recipient or identity. */
export async function wrapRing(
  ring: KeyRing,
  holder: Holder,
  place: SlotPlace,
  cost: ScryptCost = DEFAULT_SCRYPT,
): Promise<Wrapped> {
  const plain = ring.encode();
  try {
    switch (holder.kind) {
      case 'passphrase': {
        const kdf: ScryptSettings = { name: 'scrypt', ...cost, salt: randomBytes(16).toString('hex') };
        return {
          kind: 'passphrase',
          kdf,
          ...sealUnder(await stretch(holder.bytes, kdf), plain, 'passphrase', place),
        };
      }
      case 'key':
        return {
          kind: 'key',
          fingerprint: fingerprintOf(holder.bytes),
          ...sealUnder(wrappingKey(holder.bytes, place), plain, 'key', place),
        };
      case 'identity':
      case 'recipient': {
        const recipient = holder.kind === 'recipient' ? holder.recipient : await recipientOf(holder);
        const bound = Buffer.concat([bindingHash('recipient', place), plain]);
        const wrapped = Buffer.from(await encryptTo(recipient, bound)).toString('base64');
        bound.fill(0);
        return { kind: 'recipient', recipient, wrapped };
      }
    }
  } finally {
    plain.fill(0);
  }
}

/** Whether the secret is of a kind, and as far as can be told the very one, that opens the slot. */
export function mayOpen(record: SlotRecord, secret: Secret): boolean {
  if (record.kind === 'key')
    return secret.kind === 'key' && record.fingerprint === fingerprintOf(secret.bytes);
  return record.kind === (secret.kind === 'identity' ? 'recipient' : secret.kind);
}

/**
 * Opens a slot; undefined when the secret is another. What a slot says of its keys is not sealed, and much goes by it:
 * REPOSITORY_DAMAGED where others are in it.
 */
export async function unwrapRing(
  record: SlotRecord,
  secret: Secret,
  repositoryId: string,
): Promise<KeyRing | undefined> {
  if (!mayOpen(record, secret)) return undefined;
  const plain = await opened(record, secret, { repositoryId, id: record.id });
  try {
    if (!plain || plain.length === 0 || plain.length % KEY_BYTES !== 0) return undefined;
    const ring = KeyRing.decode(plain);
    if (ring.currentId === record.keyId && ring.size === record.keys) return ring;
    ring.wipe();
    throw saysOtherKeys(record);
  } finally {
    plain?.fill(0);
  }
}

async function opened(record: SlotRecord, secret: Secret, place: SlotPlace): Promise<Uint8Array | undefined> {
  if (record.kind === 'passphrase' && secret.kind === 'passphrase')
    return openUnder(await stretch(secret.bytes, record.kdf), record, place);
  if (record.kind === 'key' && secret.kind === 'key')
    return openUnder(wrappingKey(secret.bytes, place), record, place);
  if (record.kind !== 'recipient' || secret.kind !== 'identity') return undefined;
  const bound = await decryptWith(secret, Buffer.from(record.wrapped, 'base64'));
  const binding = bindingHash('recipient', place);
  if (!bound || !binding.equals(bound.subarray(0, binding.length))) return undefined;
  return bound.subarray(binding.length);
}

/** The name of a key: what a repository says of it, which tells nothing of the key itself. */
export function fingerprintOf(key: Uint8Array): string {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'fitdoc key-v1 fingerprint', 8)).toString(
    'hex',
  );
}

/** The recipient that an age identity opens for. ARGUMENT_INVALID. */
export async function recipientOf({ text, from }: Extract<Secret, { kind: 'identity' }>): Promise<string> {
  const age = await loadAge();
  try {
    return await age.identityToRecipient(text);
  } catch {
    throw new FitdocError('ARGUMENT_INVALID', `The ${from} holds no age identity that can be used.`, {
      hint: 'Make one with: age-keygen, or a key with: fitdoc key new FILE',
    });
  }
}

function binding(kind: SlotRecord['kind'], { repositoryId, id }: SlotPlace): Buffer {
  return Buffer.from(`fitdoc key-v1 ${kind}\0${repositoryId}\0${id}`, 'utf8');
}

function bindingHash(kind: SlotRecord['kind'], place: SlotPlace): Buffer {
  return createHash('sha256').update(binding(kind, place)).digest();
}

function stretch(
  passphrase: Uint8Array,
  { cost, blockSize, parallelization, salt }: ScryptSettings,
): Promise<Buffer> {
  const maxmem = 128 * blockSize * (cost + parallelization) + 2 ** 20;
  return scryptAsync(passphrase, Buffer.from(salt, 'hex'), KEY_BYTES, {
    ...{ N: cost, r: blockSize, p: parallelization, maxmem },
  });
}

function wrappingKey(key: Uint8Array, place: SlotPlace): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), binding('key', place), KEY_BYTES));
}

/** The key is used this once, and wiped. */
function sealUnder(
  key: Buffer,
  plain: Uint8Array,
  kind: SlotRecord['kind'],
  place: SlotPlace,
): { nonce: string; wrapped: string } {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(binding(kind, place));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  return { nonce: nonce.toString('hex'), wrapped: sealed.toString('base64') };
}

function openUnder(
  key: Buffer,
  { kind, nonce, wrapped }: Exclude<SlotRecord, { kind: 'recipient' }>,
  place: SlotPlace,
): Uint8Array | undefined {
  const sealed = Buffer.from(wrapped, 'base64');
  if (sealed.length < TAG_BYTES) return undefined;
  const cipher = createDecipheriv(ALGORITHM, key, Buffer.from(nonce, 'hex'), { authTagLength: TAG_BYTES });
  cipher.setAAD(binding(kind, place));
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = cipher.update(sealed.subarray(0, -TAG_BYTES));
  try {
    cipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  } finally {
    key.fill(0);
  }
}

async function encryptTo(recipient: string, plain: Uint8Array): Promise<Uint8Array> {
  const age = await loadAge();
  const encrypter = new age.Encrypter();
  try {
    encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new FitdocError('ARGUMENT_INVALID', `Not a recipient: ${JSON.stringify(recipient.slice(0, 80))}.`, {
      cause,
      hint: 'A recipient is the public half of an age identity: it begins with age1, and age-keygen -y prints it.',
    });
  }
  return encrypter.encrypt(plain);
}

async function decryptWith(
  { text }: Extract<Secret, { kind: 'identity' }>,
  sealed: Uint8Array,
): Promise<Uint8Array | undefined> {
  const age = await loadAge();
  const decrypter = new age.Decrypter();
  try {
    decrypter.addIdentity(text);
    return await decrypter.decrypt(sealed);
  } catch {
    return undefined;
  }
}
