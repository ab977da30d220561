export { withBandwidthLimit, type BandwidthOptions } from './bandwidth.js';
export {
  randomFaults,
  withFaults,
  type Fault,
  type FaultPlan,
  type RandomFaultOptions,
  type StoreOperation,
} from './faults.js';
export { withReadCache, type CachedStore, type ReadCacheOptions } from './read-cache.js';
export { withRetry, type RetryOptions } from './retry.js';
export type { Sleep } from './sleep.js';
