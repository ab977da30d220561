import type { AdapterRegistry } from '@fitdoc/adapters';
import { FitdocError, isFitdocError, type Store } from '@fitdoc/interface';
import { cacheFor, Repository } from '@fitdoc/repository';
import { withBandwidthLimit } from '@fitdoc/store-decorators';
import type { RepositorySettings } from '../config/schema.js';
import { encryptionFor, isEncrypted, secretsOf, wipeAll } from './repository-secrets.js';

interface Open {
  readonly store: Store;
  readonly repository: Repository;
}

/** What is remembered of them from one run to the next, and who is told what an operator should know. */
export interface RepositoriesMemory {
  readonly repositoryId: (name: string, location: string) => string | undefined;
  readonly setRepository: (name: string, location: string, id: string) => void;
  readonly onNote: (name: string, note: string) => void;
}

/** The repositories of the configuration, each opened when it is first needed and shared by its machines. */
export class Repositories {
  readonly #registry: AdapterRegistry;
  readonly #memory: RepositoriesMemory;
  #settings: Readonly<Record<string, RepositorySettings>> = {};
  readonly #open = new Map<string, Promise<Open>>();

  constructor(registry: AdapterRegistry, memory: RepositoriesMemory) {
    this.#registry = registry;
    this.#memory = memory;
  }

  /** Takes over new settings. A repository whose settings changed is opened again at its next use. */
  configure(settings: Readonly<Record<string, RepositorySettings>>): void {
    const changed = Object.keys(this.#settings).filter(
      (name) => JSON.stringify(this.#settings[name]) !== JSON.stringify(settings[name]),
    );
    this.#settings = settings;
    for (const name of changed) {
      const open = this.#open.get(name);
      this.#open.delete(name);
      void open?.then(close, () => undefined);
    }
  }

  get settings(): Readonly<Record<string, RepositorySettings>> {
    return this.#settings;
  }

  /** Errors: REPOSITORY_NOT_FOUND, and those of the store and of `Repository.open`. */
  async get(name: string): Promise<Repository> {
    let open = this.#open.get(name);
    if (!open) {
      const opening = this.#openNow(name);
      this.#open.set(name, opening);
      // A failure is not remembered: the next use tries again.
      opening.catch(() => {
        if (this.#open.get(name) === opening) this.#open.delete(name);
      });
      open = opening;
    }
    return (await open).repository;
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(all.map((open) => open.then(close)));
  }

  async #openNow(name: string): Promise<Open> {
    const settings = this.#settings[name];
    if (!settings) {
      throw new FitdocError('REPOSITORY_NOT_FOUND', `The configuration has no repository ${name}.`, {
        details: { known: Object.keys(this.#settings) },
      });
    }
    const { location, bandwidth } = settings;
    const known = settings.id ?? this.#memory.repositoryId(name, location);
    // Where one is known to be, none is made: its file system may not be mounted, and the disk below it is another's.
    const create = settings.create && known === undefined;
    try {
      const bare = await this.#registry.openStore(location, { create, config: storeConfig(settings) });
      const store =
        bandwidth === undefined ? bare : withBandwidthLimit(bare, { uploadBytesPerSecond: bandwidth });
      const repository = await openIn(store, name, { create, known, settings, onNote: this.#memory.onNote });
      this.#memory.setRepository(name, location, repository.config.id);
      for (const note of store.supports.notes ?? []) this.#memory.onNote(name, note);
      return { store, repository };
    } catch (error) {
      const isGone = isFitdocError(error, 'STORE_NOT_FOUND') || isFitdocError(error, 'REPOSITORY_NOT_FOUND');
      if (known !== undefined && isLostConfig(error)) throw withId(error, location, known);
      if (isFitdocError(error, 'KEY_MISSING')) throw withSetting(error, name);
      throw isGone && known !== undefined ? notThere(error, name, { location, known }) : error;
    }
  }
}

interface Opening {
  readonly create: boolean;
  readonly known: string | undefined;
  readonly settings: RepositorySettings;
  readonly onNote: RepositoriesMemory['onNote'];
}

/** The secrets are read when they are needed, and wiped then. */
async function openOrMake(
  store: Store,
  settings: RepositorySettings,
  create: boolean,
  onNote: (note: string) => void,
): Promise<Repository> {
  const near = { cache: cacheFor(store.location) };
  if (!isEncrypted(settings))
    return create ? Repository.openOrInit(store, near) : Repository.open(store, near);
  const secrets = await secretsOf(settings, onNote);
  try {
    const unlock = { ...near, secrets: async () => secrets, mustBeEncrypted: true };
    return create
      ? await Repository.openOrInit(store, { ...unlock, encrypt: encryptionFor(secrets, settings) })
      : await Repository.open(store, unlock);
  } finally {
    wipeAll(secrets);
  }
}

async function openIn(
  store: Store,
  name: string,
  { create, known, settings, onNote }: Opening,
): Promise<Repository> {
  try {
    const repository = await openOrMake(store, settings, create, (note) => onNote(name, note));
    const { id } = repository.config;
    if (known === undefined || id === known) return repository;
    await repository.close();
    throw new FitdocError(
      'STORE_UNAVAILABLE',
      `Another repository (${id}) is at ${store.location}: ${known} was there.`,
      {
        retryable: true,
        hint: `Mount the file system that was there. If this one is meant, write id = "${id}" under [repositories.${name}].`,
        details: { place: 'another', expected: known, found: id },
      },
    );
  } catch (error) {
    await store.close();
    throw error;
  }
}

function isLostConfig(error: unknown): error is FitdocError {
  return isFitdocError(error, 'REPOSITORY_DAMAGED') && error.details['key'] === 'config.json';
}

/** We know what nobody may be able to read there any more. */
function withId(error: FitdocError, location: string, known: string): FitdocError {
  return new FitdocError(error.code, error.message, {
    cause: error,
    details: error.details,
    hint: `Rebuild it with: fitdoc repair ${location} --id ${known}; no checkpoint depends on it.`,
  });
}

/** Who runs a daemon gives it no options. */
function withSetting(error: FitdocError, name: string): FitdocError {
  return new FitdocError(error.code, error.message, {
    cause: error,
    details: error.details,
    hint: `Write passphrase-file, passphrase-command or key-file under [repositories.${name}].`,
  });
}

function notThere(
  cause: FitdocError,
  name: string,
  { location, known }: { readonly location: string; readonly known: string },
): FitdocError {
  return new FitdocError('STORE_UNAVAILABLE', `The repository ${known} is no longer at ${location}.`, {
    cause,
    retryable: true,
    hint: `Mount its file system. To begin another there: fitdoc init ${location}, and its id under [repositories.${name}].`,
    details: { place: 'missing', expected: known },
  });
}

/** What the store's adapter is told. */
function storeConfig({ config, group, ...settings }: RepositorySettings): Record<string, unknown> {
  const requireMount = settings['require-mount'];
  return {
    ...config,
    ...(group !== undefined && { group }),
    ...(requireMount !== undefined && { requireMount }),
  };
}

async function close({ repository, store }: Open): Promise<void> {
  await repository.close();
  await store.close();
}
