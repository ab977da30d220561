import type { OpenStoreOptions, Store } from '@fitdoc/interface';
import { AdapterRegistry, type FoundHypervisor } from './registry.js';

export { BUILT_IN } from './built-in.js';
export { DEFAULT_SCHEME, parseLocation, type Location } from './location.js';
export { AdapterRegistry, type Adapter, type FoundHypervisor } from './registry.js';

/** Opens a store with fitdoc's own adapters: `openStore('./checkpoints')`, `openStore('s3:bucket/prefix')`. */
export function openStore(location: string, options?: OpenStoreOptions): Promise<Store> {
  return new AdapterRegistry().openStore(location, options);
}

/** Finds the hypervisor of a location among fitdoc's own: `hypervisorFor('kvm:/run/vm.sock')`. */
export function hypervisorFor(location: string): Promise<FoundHypervisor> {
  return new AdapterRegistry().hypervisorFor(location);
}
