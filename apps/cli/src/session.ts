import { openStore } from '@fitdoc/adapters';
import { createEngine, type Engine } from '@fitdoc/engine';
import { FitdocError, isFitdocError, type Store } from '@fitdoc/interface';
import { cacheFor, Repository, type EncryptOptions, type ResolveFilter } from '@fitdoc/repository';
import type { Command } from 'commander';
import { EXIT, exitCodeOf } from './exit-codes.js';
import { theOutputs } from './output/outputs.js';
import { Terminal } from './output/terminal.js';
import { labelOf, secretOptions, Secrets, type SecretOptions } from './secrets/index.js';
import { listenForInterrupts, type Interrupts } from './signals.js';

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface StoreOptions extends CommonOptions, SecretOptions {
  readonly store?: string;
}

export function commonOptions(command: Command): Command {
  return command
    .option('--json', 'print results as JSON: one document, or JSON Lines for long work')
    .option('-q, --quiet', 'no progress and no notes');
}

export function storeOptions(command: Command): Command {
  return commonOptions(
    secretOptions(
      command.option(
        '--store <location>',
        'the repository: a directory, or scheme:location (env: FITDOC_STORE)',
      ),
    ),
  );
}

/** What opens a repository, and what a command takes for granted of it. */
export interface SecretsUse {
  readonly secrets: Secrets;
  /** Refuse one that is not encrypted, and encrypt one that is made. */
  readonly mustBeEncrypted: boolean;
  /** Whether the command has `--plain`. */
  readonly orPlain?: boolean;
}

/** Of commands that store what a guest holds. */
export interface StoringOptions {
  /** Store it unsealed, though a secret is given. */
  readonly plain?: boolean;
}

export const PLAIN_OPTION = [
  '--plain',
  'store into a repository that is not encrypted, though a secret is given (in the environment, say)',
] as const;

/** Who only reads: a secret that is named means an encrypted repository; one in the environment may be for another. */
function forReading(secrets: Secrets): SecretsUse {
  return { secrets, mustBeEncrypted: secrets.areNamed };
}

/**
 * Who stores what a guest holds: wherever the secret is from, a repository that is not encrypted is refused, unless the
 * operator says `--plain`: whoever can write into its store can make it look so. ARGUMENT_INVALID.
 */
export function forStoring(secrets: Secrets, { plain = false }: StoringOptions): SecretsUse {
  if (plain && secrets.areNamed) {
    throw new FitdocError('ARGUMENT_INVALID', '--plain and a secret for the repository exclude each other.', {
      hint: 'Leave out --plain, or the secret.',
    });
  }
  return { secrets, mustBeEncrypted: !plain && secrets.areGiven, orPlain: !secrets.areNamed };
}

/** What a command works with; everything that was opened is closed when the command ends, however it ends. */
export class Session {
  readonly terminal: Terminal;
  readonly interrupts: Interrupts;
  /** What opens encrypted repositories. */
  readonly secrets: Secrets;
  /** Bytes of guest images, when the command was told. */
  memory: number | undefined;
  /** Where on a disk that goes which has no place in memory, when the command was told. */
  coldDirectory: string | undefined;
  /** The guest, which a failure had left paused, was let go of and is as its operator wants it. */
  letGo = false;
  readonly #closers: (() => Promise<unknown>)[] = [];
  #engine: Engine | undefined;

  constructor(options: StoreOptions, gentle: boolean) {
    this.terminal = new Terminal(options);
    this.interrupts = listenForInterrupts({ gentle });
    this.secrets = this.secretsOf(options, true);
    // What nobody can read is not worth a guest's pauses.
    const stopListening = theOutputs().onLost(() => this.interrupts.interrupt('the end of its output'));
    this.onClose(async () => stopListening());
  }

  get signal(): AbortSignal {
    return this.interrupts.cancel;
  }

  get engine(): Engine {
    if (!this.#engine) {
      const engine = createEngine({
        ...(this.memory !== undefined && { memoryBudget: this.memory }),
        ...(this.coldDirectory !== undefined && { coldDirectory: this.coldDirectory }),
      });
      this.#engine = engine;
      this.onClose(() => engine.close());
    }
    return this.#engine;
  }

  onClose(closer: () => Promise<unknown>): void {
    this.#closers.unshift(closer);
  }

  /** The repository that the options name. */
  async repository(options: StoreOptions): Promise<Repository> {
    return this.repositoryAt(storeLocation(options), false);
  }

  /** The one that a guest's checkpoints go to; with `init`, made where there is none. */
  async repositoryToStore(
    options: StoreOptions & StoringOptions & { readonly init?: boolean },
  ): Promise<Repository> {
    const use = forStoring(this.secrets, options);
    return this.repositoryAt(storeLocation(options), options.init ?? false, use);
  }

  /** Where names of checkpoints are looked up; what one was taken for is told. */
  where(machine: string | undefined): ResolveFilter {
    return { ...(machine !== undefined && { machine }), onNote: (note) => this.terminal.aside(note) };
  }

  async repositoryAt(location: string, make: boolean, use = forReading(this.secrets)): Promise<Repository> {
    const { secrets, mustBeEncrypted } = use;
    const store = await this.storeAt(location, make);
    const near = { cache: cacheFor(store.location), signal: this.signal };
    const unlock = { secrets: () => secrets.get(), mustBeEncrypted };
    const encrypt = make && mustBeEncrypted ? { holders: await holdersOf(secrets) } : undefined;
    const repository = await (
      make
        ? Repository.openOrInit(store, { ...near, ...unlock, encrypt })
        : Repository.open(store, { ...near, ...unlock })
    ).catch((error: unknown) => missing(location)(use.orPlain ? orSayPlain(error) : error));
    if (!repository.encryption && secrets.areGiven)
      this.terminal.aside(`note: the repository at ${location} is not encrypted; no secret is used for it.`);
    // Without this its locks would stay, and hold up other machines until they are stale.
    this.onClose(() => repository.close());
    return repository;
  }

  /** Secrets that options name; with `orEnvironment`, where they name none, those of the environment. */
  secretsOf(options: SecretOptions, orEnvironment: boolean): Secrets {
    const asking = { signal: this.signal, onNote: (note: string) => this.terminal.aside(note) };
    const secrets = new Secrets(options, asking, orEnvironment);
    this.onClose(() => secrets.close());
    return secrets;
  }

  /** What an operator should know of the place. */
  tellNotes(store: Store): void {
    for (const note of store.supports.notes ?? []) this.terminal.note(`note: ${note}`);
  }

  async storeAt(location: string, create: boolean, config: Record<string, unknown> = {}): Promise<Store> {
    const store = await openStore(location, { create, config, signal: this.signal }).catch(missing(location));
    this.onClose(() => store.close());
    return store;
  }

  async close(): Promise<void> {
    for (const closer of this.#closers) await closer().catch((error: unknown) => this.terminal.error(error));
    this.interrupts.dispose();
  }
}

/** Tells who meant a repository that is not encrypted how to say so. */
function orSayPlain(error: unknown): unknown {
  if (!isFitdocError(error, 'REPOSITORY_INCOMPATIBLE') || error.details['encrypted'] !== false) return error;
  return new FitdocError(error.code, error.message, {
    cause: error,
    details: error.details,
    hint: 'If it was encrypted before, somebody changed it: look into its store. If it is meant to be as it is, add --plain.',
  });
}

async function holdersOf(secrets: Secrets): Promise<EncryptOptions['holders']> {
  return (await secrets.getNew(false)).map((holder) => ({ holder, label: labelOf(holder) }));
}

/** Tells of a store or repository that is not there what to do. */
function missing(location: string): (error: unknown) => never {
  return (error) => {
    if (!isFitdocError(error, 'STORE_NOT_FOUND') && !isFitdocError(error, 'REPOSITORY_NOT_FOUND'))
      throw error;
    throw new FitdocError('REPOSITORY_NOT_FOUND', `There is no repository at ${location}.`, {
      cause: error,
      hint: `Make one with: fitdoc init --store ${location} (or add --init where a command has it).`,
    });
  };
}

export function storeLocation(options: StoreOptions): string {
  const location = options.store ?? process.env['FITDOC_STORE'];
  if (location) return location;
  throw new FitdocError('ARGUMENT_INVALID', 'No repository was named.', {
    hint: 'Add --store DIRECTORY, or set FITDOC_STORE.',
  });
}

/**
 * Wraps a command's work: opens a session, reports errors, sets the exit code. `gentle` lets the first Ctrl-C
 * finish what is under way.
 */
export function action<Args extends unknown[], Options extends CommonOptions>(
  work: (session: Session, options: Options, ...args: Args) => Promise<number | void>,
  gentle = false,
): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    // Commander passes the arguments, then the options, then the command itself.
    const options = all.at(-2) as Options;
    const args = all.slice(0, -2) as Args;
    const session = new Session(options, gentle);
    try {
      process.exitCode = (await work(session, options, ...args)) ?? 0;
    } catch (error) {
      const told = theOutputs().exitCode !== undefined && isFitdocError(error, 'ABORTED');
      if (!told) session.terminal.error(error);
      process.exitCode = exitCodeOf(error);
    } finally {
      await session.close();
      if (process.exitCode === EXIT.guestPaused && session.letGo) process.exitCode = EXIT.failed;
      process.exitCode = theOutputs().exitCode ?? process.exitCode;
    }
  };
}
