import { openStore } from '@fitdoc/adapters';
import { createEngine, type Engine } from '@fitdoc/engine';
import { FitdocError, isFitdocError, type Store } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import type { Command } from 'commander';
import { exitCodeOf } from './exit-codes.js';
import { Terminal } from './output/terminal.js';
import { listenForInterrupts, type Interrupts } from './signals.js';

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface StoreOptions extends CommonOptions {
  readonly store?: string;
}

export function commonOptions(command: Command): Command {
  return command
    .option('--json', 'print results as JSON: one document, or JSON Lines for long work')
    .option('-q, --quiet', 'no progress and no notes');
}

export function storeOptions(command: Command): Command {
  return commonOptions(
    command.option(
      '--store <location>',
      'the repository: a directory, or scheme:location (env: FITDOC_STORE)',
    ),
  );
}

/** What a command works with; everything that was opened is closed when the command ends, however it ends. */
export class Session {
  readonly terminal: Terminal;
  readonly interrupts: Interrupts;
  readonly #closers: (() => Promise<unknown>)[] = [];
  #engine: Engine | undefined;

  constructor(options: CommonOptions, gentle: boolean) {
    this.terminal = new Terminal(options);
    this.interrupts = listenForInterrupts({ gentle });
  }

  get signal(): AbortSignal {
    return this.interrupts.cancel;
  }

  get engine(): Engine {
    if (!this.#engine) {
      const engine = createEngine();
      this.#engine = engine;
      this.onClose(() => engine.close());
    }
    return this.#engine;
  }

  onClose(closer: () => Promise<unknown>): void {
    this.#closers.unshift(closer);
  }

  /** The repository that the options name; with `make`, made where there is none. */
  async repository(options: StoreOptions, make = false): Promise<Repository> {
    return this.repositoryAt(storeLocation(options), make);
  }

  async repositoryAt(location: string, make: boolean): Promise<Repository> {
    const store = await this.storeAt(location, make);
    const repository = await (make ? Repository.openOrInit(store) : Repository.open(store)).catch(
      missing(location),
    );
    // Without this its locks would stay, and hold up other machines until they are stale.
    this.onClose(() => repository.close());
    return repository;
  }

  async storeAt(location: string, create: boolean): Promise<Store> {
    const store = await openStore(location, { create, signal: this.signal }).catch(missing(location));
    this.onClose(() => store.close());
    return store;
  }

  async close(): Promise<void> {
    for (const closer of this.#closers) await closer().catch((error: unknown) => this.terminal.error(error));
    this.interrupts.dispose();
  }
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
      session.terminal.error(error);
      process.exitCode = exitCodeOf(error);
    } finally {
      await session.close();
    }
  };
}
