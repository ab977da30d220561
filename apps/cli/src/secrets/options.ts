import type { Command } from 'commander';

/** Where the secret of an encrypted repository is had; never the secret itself, which arguments show to everybody. */
export interface SecretOptions {
  readonly passphraseFile?: readonly string[];
  readonly passphraseCommand?: string;
  readonly passphraseFd?: string;
  readonly keyFile?: readonly string[];
}

/** The options that every command with a repository takes. */
export function secretOptions(command: Command): Command {
  return command
    .option(
      '--passphrase-file <file>',
      'an encrypted repository: a file with its passphrase (env: FITDOC_PASSPHRASE_FILE, FITDOC_PASSPHRASE)',
      collect,
    )
    .option(
      '--passphrase-command <command>',
      'a shell command that prints the passphrase (env: FITDOC_PASSPHRASE_COMMAND)',
    )
    .option('--passphrase-fd <number>', 'an open descriptor to read the passphrase from')
    .option(
      '--key-file <file>',
      'a file with its key or recovery key, or an age identity (env: FITDOC_KEY_FILE)',
      collect,
    );
}

/**
 * The options again, for a command that is shown. A command that prints a passphrase is not shown, for what may stand in it,
 * nor is a descriptor, which is read to its end.
 */
export function secretWords(options: SecretOptions): string[] {
  const { keyFile = [], passphraseFile = [], passphraseCommand, passphraseFd } = options;
  return [
    ...keyFile.flatMap((file) => ['--key-file', file]),
    ...passphraseFile.flatMap((file) => ['--passphrase-file', file]),
    ...(passphraseCommand === undefined ? [] : ['--passphrase-command', 'COMMAND']),
    ...(passphraseFd === undefined ? [] : ['--passphrase-fd', 'NUMBER']),
  ];
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
