export { copyCheckpoints, type CopyOptions, type CopyReport } from './copy/copy.js';
export type { Claim } from './claims/claim.js';
export type { Takeover } from './claims/takeover.js';
export type { TakeoverRequest, Takeovers } from './claims/takeovers.js';
export { CLAIM_TTL_MS, type Writer } from './claims/claim-record.js';
export type { ShownWriter } from './claims/conflict.js';
export type { ListFilter } from './catalogue/catalogue.js';
export type { PackReport } from './catalogue/packed/packer.js';
export {
  cacheDirectory,
  cacheFor,
  DiskCache,
  isNear,
  type DiskCacheOptions,
} from './catalogue/packed/disk-cache.js';
export type { SegmentCache } from './catalogue/packed/segment-cache.js';
export type { Derived } from './derived/derived.js';
export type { Clock } from './clock.js';
export type { EncryptOptions, Encryption, UnlockOptions } from './encryption/encryption.js';
export type { RepositoryKeys } from './encryption/repository-keys.js';
export {
  ENCRYPTED_VERSION,
  OLDEST_REPOSITORY_VERSION,
  REPOSITORY_VERSION,
  type RepositoryConfig,
} from './config.js';
export {
  entryOf,
  isDerived,
  isIntact,
  shortId,
  stateOf,
  type CheckpointEntry,
  type DamagedEntry,
  type ListedEntry,
} from './catalogue/entry.js';
export { repairRepository, type RepairOptions, type RepairReport } from './repair.js';
export { Lineage, type ReadCost } from './catalogue/lineage.js';
export { lastFirst, newestFirst } from './catalogue/order.js';
export { explainHole, isWithheld, withheldEntries } from './catalogue/unreadable.js';
export type { FoundLock, LockKind, LockRecord } from './locks/lock-record.js';
export type { Lease, LockOptions } from './locks/lease.js';
export { machineNamed } from './catalogue/machine-named.js';
export type { MachineEntry } from './catalogue/machines.js';
export { isDead, thisProcess, type LockOwner } from './locks/process-identity.js';
export type { MergeableRun, PrunePlan } from './retention/prune.js';
export type { DeleteOptions, DeleteReport, PruneOptions, PruneReport } from './retention/removal.js';
export type { KeptCheckpoint } from './retention/removal-plan.js';
export type { ReplaceReport } from './retention/replace.js';
export type { InitOptions, RepositoryOptions } from './opening.js';
export { Repository, type ResolveFilter } from './repository.js';
export { applyPolicy, checkPolicy, type RetentionPolicy } from './retention/policy.js';
export type { Tag, Tags } from './catalogue/tags.js';
export { localMoment, zoneOf, type LocalMoment } from './catalogue/local-time.js';
export { parseTime } from './catalogue/time-spec.js';
export type { PutCheckpointOptions } from './writer.js';
export { chooseLadder, measureOverlap, unknownOverlap, type Overlap } from './history/ladder.js';
export { foresee, type Foreseen } from './history/foresee.js';
export { planHistory } from './history/plan.js';
export { StandingHistory, type StandingOptions } from './history/standing.js';
export {
  MOST_INPUTS,
  MOST_OBJECTS,
  PLANNED_OBJECTS,
  type HistoryPlan,
  type HistoryRequest,
  type Ladder,
  type Level,
  type MergeJob,
  type Pace,
} from './history/types.js';
export { simulatePolicy, type SimulatedMoment, type Simulation } from './history/simulate.js';
export type { ThinningOptions, ThinningReport } from './retention/thinning.js';
export type { OpenCheckpointOptions } from './open-options.js';
