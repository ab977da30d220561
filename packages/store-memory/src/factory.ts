import {
  FitdocError,
  throwIfAborted,
  type OpenStoreOptions,
  type Store,
  type StoreFactory,
} from '@fitdoc/interface';
import { MemoryStore } from './memory-store.js';

const places = new Map<string, MemoryStore>();

/**
 * Opens the place named in `memory:NAME`, which lives as long as the process: opening it again gives a further
 * handle on the same objects. `config.capacityBytes` limits a handle. An empty name is a place of its own.
 */
export const storeFactory: StoreFactory = Object.freeze({
  specificationVersion: 'store-v1' as const,
  scheme: 'memory',
  async open(location: string, options: OpenStoreOptions = {}): Promise<Store> {
    throwIfAborted(options.signal);
    const capacity = options.config?.capacityBytes;
    const limits = typeof capacity === 'number' ? { capacityBytes: capacity } : {};
    if (location === '') return new MemoryStore(limits);
    const place = places.get(location) ?? makePlace(location, options.create === true);
    return new MemoryStore({ ...limits, location: place.location, shareWith: place });
  },
});

function makePlace(location: string, create: boolean): MemoryStore {
  if (!create) {
    throw new FitdocError('STORE_NOT_FOUND', `There is no store memory:${location} in this process.`, {
      hint: 'Open it with create to make it.',
    });
  }
  const place = new MemoryStore({ location: `memory:${location}` });
  places.set(location, place);
  return place;
}

/** Forgets every named place; open handles keep their objects. */
export function forgetMemoryStores(): void {
  places.clear();
}
