import { randomBytes } from 'node:crypto';
import { FitdocError } from '@fitdoc/interface';
import { bech32 } from '@scure/base';
import { KEY_BYTES } from './key-ring.js';

/** What opens a slot. `from` says where it was had, for messages: "the passphrase of FITDOC_PASSPHRASE". */
export type Secret =
  | { readonly kind: 'passphrase'; readonly bytes: Uint8Array; readonly from: string }
  | { readonly kind: 'key'; readonly bytes: Uint8Array; readonly from: string }
  /** An age identity, `AGE-SECRET-KEY-1…`: what a recipient (`age1…`) has. */
  | { readonly kind: 'identity'; readonly text: string; readonly from: string };

/** What can be given access to a repository: who has one of these secrets, or a recipient's. */
export type Holder = Secret | { readonly kind: 'recipient'; readonly recipient: string };

/** Overwrites the secret, as far as the runtime lets: a text stays in memory until its room is used again. */
export function wipeSecret(secret: Secret): void {
  if (secret.kind !== 'identity') secret.bytes.fill(0);
}

const PREFIX = 'fitdoc-key-';

/** A key as it is printed or stands in a file: bech32, whose checksum finds what was mistyped. */
export function printKey(bytes: Uint8Array): string {
  return bech32.encode(PREFIX, bech32.toWords(bytes), false).toUpperCase();
}

/** The text of a new key: for a key file, or to be printed and kept. */
export function newKeyText(): string {
  const bytes = randomBytes(KEY_BYTES);
  const text = printKey(bytes);
  bytes.fill(0);
  return text;
}

/** A passphrase: the bytes as they are, without the end of the line that an editor leaves. ARGUMENT_INVALID. */
export function parsePassphrase(bytes: Uint8Array, from: string): Secret {
  let end = bytes.length;
  if (bytes[end - 1] === 10) end--;
  if (bytes[end - 1] === 13) end--;
  if (end === 0) throw unusable(`The passphrase ${from} is empty.`, 'Write a passphrase there.');
  return { kind: 'passphrase', bytes: Uint8Array.from(bytes.subarray(0, end)), from };
}

/**
 * Reads a key file: a key as `newKeyText` gives it, in any grouping, or an age identity file. Lines that begin with
 * `#` are comments. ARGUMENT_INVALID.
 */
export function parseKeyFile(text: string, from: string): Secret {
  const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'));
  const identity = lines.map((line) => line.trim()).find((line) => line.startsWith('AGE-SECRET-KEY-'));
  if (identity !== undefined) return { kind: 'identity', text: identity, from };
  const written = lines.join('').replace(/\s/g, '').toLowerCase();
  try {
    const { prefix, words } = bech32.decode(written as `${string}1${string}`, false);
    const bytes = bech32.fromWords(words);
    if (prefix === PREFIX && bytes.length === KEY_BYTES) return { kind: 'key', bytes, from };
  } catch {
    // What is wrong with it would quote it.
  }
  throw unusable(
    `The ${from} holds no key, or one with a slip of the pen.`,
    'It is a text that begins with FITDOC-KEY-1 or AGE-SECRET-KEY-1; make one with: fitdoc key new FILE',
  );
}

function unusable(message: string, hint: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', message, { hint });
}
