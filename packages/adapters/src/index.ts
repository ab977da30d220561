import type { FindMachinesOptions, OpenStoreOptions, Store } from '@fitdoc/interface';
import type { FoundByScheme } from './machines.js';
import { AdapterRegistry, type FoundHypervisor } from './registry.js';

export { BUILT_IN } from './built-in.js';
export { DEFAULT_SCHEME, parseLocation, type Location } from './location.js';
export type { Adapter } from './adapter.js';
export type { FoundByScheme } from './machines.js';
export { isMachinePattern, matchesName, parseMachinePattern, type MachinePattern } from './pattern.js';
export { AdapterRegistry, type FoundHypervisor } from './registry.js';

/** Opens a store with fitdoc's own adapters: `openStore('./checkpoints')`, `openStore('s3:bucket/prefix')`. */
export function openStore(location: string, options?: OpenStoreOptions): Promise<Store> {
  return new AdapterRegistry().openStore(location, options);
}

/** Finds the hypervisor of a location among fitdoc's own: `hypervisorFor('kvm:/run/vm.sock')`. */
export function hypervisorFor(location: string): Promise<FoundHypervisor> {
  return new AdapterRegistry().hypervisorFor(location);
}

/** The machines of this host, by fitdoc's own adapters. */
export function findMachines(options?: FindMachinesOptions): Promise<FoundByScheme[]> {
  return new AdapterRegistry().findMachines(options);
}

/** The number of a group of this host, by its name. CONFIG_INVALID. */
export async function groupId(name: string): Promise<number> {
  return (await import('@fitdoc/store-fs')).groupId(name);
}
