import {
  passphraseOfCommand,
  passphraseOfFile,
  secretOfKeyFile,
  wipeSecret,
  type Secret,
} from '@fitdoc/sealing';
import type { EncryptOptions } from '@fitdoc/repository';
import type { RepositorySettings } from '../config/schema.js';

/** How long a command that prints a passphrase may take, in milliseconds. */
const COMMAND_MS = 60_000;

/** Whether the configuration says that a repository is encrypted. */
export function isEncrypted(settings: RepositorySettings): boolean {
  return SECRETS.some((name) => settings[name] !== undefined);
}

const SECRETS = ['passphrase-file', 'passphrase-command', 'key-file'] as const;

/** The secrets that the configuration names: the caller's to wipe. ARGUMENT_INVALID. */
export async function secretsOf(
  settings: RepositorySettings,
  onNote: (note: string) => void,
): Promise<Secret[]> {
  const { 'key-file': key, 'passphrase-file': file, 'passphrase-command': command } = settings;
  const secrets: Secret[] = [];
  if (key !== undefined) secrets.push(await secretOfKeyFile(key, onNote));
  if (file !== undefined) secrets.push(await passphraseOfFile(file, onNote));
  if (command !== undefined)
    secrets.push(await passphraseOfCommand(command, AbortSignal.timeout(COMMAND_MS)));
  return secrets;
}

/** Who can open a repository that the daemon makes. */
export function encryptionFor(
  secrets: readonly Secret[],
  { recipients }: RepositorySettings,
): EncryptOptions {
  return {
    holders: [
      ...secrets.map((holder) => ({ holder, label: 'fitdocd' })),
      ...(recipients ?? []).map((recipient) => ({ holder: { kind: 'recipient', recipient } as const })),
    ],
  };
}

export function wipeAll(secrets: readonly Secret[]): void {
  for (const secret of secrets) wipeSecret(secret);
}
