import path from 'node:path';
import { FitdocError } from '@fitdoc/interface';
import {
  parsePassphrase,
  passphraseOfCommand,
  passphraseOfDescriptor,
  passphraseOfFile,
  secretOfKeyFile,
  wipeSecret,
  type Holder,
  type Secret,
} from '@fitdoc/sealing';
import type { SecretOptions } from './options.js';
import { canPrompt, promptPassphrase } from './prompt.js';

interface Asking {
  readonly signal: AbortSignal;
  readonly onNote: (note: string) => void;
}

/** The secrets that a command was given, read when the first encrypted repository asks for them. */
export class Secrets {
  readonly #options: SecretOptions;
  readonly #asking: Asking;
  readonly #environment: Environment;
  /** A descriptor is read once, and a command runs once, whoever asks. */
  #given: Promise<Secret[]> | undefined;
  #read: Promise<Secret[]> | undefined;
  readonly #typed: Secret[] = [];

  constructor(options: SecretOptions, asking: Asking, withEnvironment = true) {
    this.#options = options;
    this.#asking = asking;
    this.#environment = withEnvironment ? environmentOf() : {};
  }

  /** Whether the command line names one: then the repository must be encrypted. */
  get areNamed(): boolean {
    return Object.keys(namedOf(this.#options)).length > 0;
  }

  /** Whether the command line or the environment does. */
  get areGiven(): boolean {
    return this.areNamed || Object.keys(this.#environment).length > 0;
  }

  /** All that are given; where none is, what is typed on the terminal, if there is one. */
  get(): Promise<Secret[]> {
    this.#read ??= this.#readGiven().then(async (given) => {
      if (given.length > 0 || !canPrompt()) return given;
      return [await this.#ask('Passphrase of the repository', false)];
    });
    return this.#read;
  }

  /** For a repository that is to be made: what was read or typed before; with `ask`, also what is typed now. */
  async getNew(ask: boolean): Promise<Secret[]> {
    const given = [...(await (this.#read ?? this.#readGiven()))];
    if (given.length === 0 && ask && canPrompt())
      given.push(await this.#ask('New passphrase of the repository', true));
    this.#read = Promise.resolve(given);
    return given;
  }

  async close(): Promise<void> {
    const given = (await this.#given?.catch(() => undefined)) ?? [];
    for (const secret of [...given, ...this.#typed]) wipeSecret(secret);
  }

  async #ask(what: string, isNew: boolean): Promise<Secret> {
    const secret = await promptPassphrase(what, isNew, this.#asking.signal);
    this.#typed.push(secret);
    return secret;
  }

  #readGiven(): Promise<Secret[]> {
    return (this.#given ??= this.#readAll());
  }

  async #readAll(): Promise<Secret[]> {
    const { signal, onNote } = this.#asking;
    const named = namedOf(this.#options);
    const given: Environment = this.areNamed ? named : this.#environment;
    const { passphraseFile, passphraseCommand, passphraseFd, keyFile, passphrase } = given;
    const secrets: Secret[] = [];
    for (const file of keyFile ?? []) secrets.push(await secretOfKeyFile(file, onNote));
    for (const file of passphraseFile ?? []) secrets.push(await passphraseOfFile(file, onNote));
    if (passphraseFd !== undefined) secrets.push(await passphraseOfDescriptor(passphraseFd));
    if (passphraseCommand !== undefined) secrets.push(await passphraseOfCommand(passphraseCommand, signal));
    if (passphrase !== undefined)
      secrets.push(parsePassphrase(Buffer.from(passphrase), 'of FITDOC_PASSPHRASE'));
    return secrets;
  }
}

function namedOf({ passphraseFile, passphraseCommand, passphraseFd, keyFile }: SecretOptions): SecretOptions {
  return {
    ...(passphraseFile && { passphraseFile }),
    ...(passphraseCommand !== undefined && { passphraseCommand }),
    ...(passphraseFd !== undefined && { passphraseFd }),
    ...(keyFile && { keyFile }),
  };
}

/** Taken out of the environment, so that no command that is started gets it. */
const typed = process.env['FITDOC_PASSPHRASE'];
delete process.env['FITDOC_PASSPHRASE'];

type Environment = SecretOptions & { readonly passphrase?: string };

function environmentOf(): Environment {
  const {
    FITDOC_PASSPHRASE_FILE: file,
    FITDOC_PASSPHRASE_COMMAND: command,
    FITDOC_KEY_FILE: key,
  } = process.env;
  return {
    ...(typed && { passphrase: typed }),
    ...(file && { passphraseFile: [file] }),
    ...(command && { passphraseCommand: command }),
    ...(key && { keyFile: [key] }),
  };
}

/** For a command that makes an encrypted repository, and nobody is named who could open it. */
export function nobodyToOpen(): FitdocError {
  return new FitdocError(
    'ARGUMENT_INVALID',
    'Nobody could open the repository: no secret and no recipient was given.',
    {
      hint: 'Add --passphrase-file FILE, --key-file FILE (fitdoc key new FILE makes one) or --recipient age1..., or set FITDOC_PASSPHRASE.',
    },
  );
}

/** How a slot is called where the operator gives no name. */
export function labelOf(holder: Holder): string {
  if (holder.kind === 'recipient' || holder.kind === 'passphrase') return '';
  return path.basename(holder.from.replace(/^file /, ''));
}
