import type { AdapterRegistry } from '@fitdoc/adapters';
import { FitdocError, type Store } from '@fitdoc/interface';
import { Repository } from '@fitdoc/repository';
import { withBandwidthLimit } from '@fitdoc/store-decorators';
import type { RepositorySettings } from '../config/schema.js';

interface Open {
  readonly store: Store;
  readonly repository: Repository;
}

/** The repositories of the configuration, each opened when it is first needed and shared by its machines. */
export class Repositories {
  readonly #registry: AdapterRegistry;
  #settings: Readonly<Record<string, RepositorySettings>> = {};
  readonly #open = new Map<string, Promise<Open>>();

  constructor(registry: AdapterRegistry) {
    this.#registry = registry;
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
    const { location, create, config, bandwidth } = settings;
    const bare = await this.#registry.openStore(location, { create, ...(config && { config }) });
    const store =
      bandwidth === undefined ? bare : withBandwidthLimit(bare, { uploadBytesPerSecond: bandwidth });
    try {
      const repository = create ? await Repository.openOrInit(store) : await Repository.open(store);
      return { store, repository };
    } catch (error) {
      await store.close();
      throw error;
    }
  }
}

async function close({ repository, store }: Open): Promise<void> {
  await repository.close();
  await store.close();
}
