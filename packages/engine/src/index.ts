export { CheckpointSource, type ReadOptions } from './read/checkpoint-source.js';
export {
  compare,
  type CheckpointDifference,
  type CompareOptions,
  type DiskDifference,
  type RegionDifference,
} from './inspect/compare.js';
export { compact, compactable, type CompactOptions } from './history/compact.js';
export { thin } from './history/thin.js';
export type { ThinEvent, ThinOptions, ThinReport } from './history/thin-options.js';
export { createEngine, Engine, type EngineOptions } from './engine.js';
export type { DiskPart, DiskRun, RandomDisk } from './disks/random-disk.js';
export { exportDisk, type DiskReport } from './export/disk.js';
export { exportElf } from './export/elf.js';
export { exportRaw, mainRegion, type ExportReport } from './export/raw.js';
export { writeAt, writeWhole, type OutputOptions } from './export/partial-file.js';
export type { CheckpointCost, CheckpointResult, ProtectionEvent } from './protect/events.js';
export { MAX_HOOK_MS, type PauseHook, type PauseHookOutcome } from './protect/pause-hook.js';
export type { ProtectOptions } from './protect/protect-options.js';
export { Protection } from './protect/protection.js';
export { restore, type RestoreRequest } from './read/restore.js';
export { bootVerify, type BootOutcome, type BootRequest } from './launch/boot.js';
export {
  bootPictureOf,
  bootReportOf,
  type BootReport,
  type BootVerdict,
  type ProbeResult,
} from './launch/boot-report.js';
export type { BootProbes } from './launch/boot-probes.js';
export { guestPort } from './launch/guest-port.js';
export { fork, type Fork, type Forked, type ForkRequest } from './launch/fork.js';
export { MemoryFiles, type MemoryFilesOptions } from './launch/memory-files.js';
export { start, type Started, type StartRequest } from './launch/start.js';
export { followMachine, type FollowOptions, type StandbyEvent } from './standby/follow.js';
export type { Journal as StandbyJournal, StandbyPoint } from './standby/journal.js';
export { promote, schemeOf, standbyIn, type Promoted, type PromoteRequest } from './standby/promote.js';
export type { StandbyRequest, StandbyStep } from './standby/standby.js';
export type { ScheduleOptions } from './protect/schedule.js';
export type { TakeOptions } from './protect/take-checkpoint.js';
export { verifyHeld, type Verifiable } from './inspect/verify-held.js';
export { verify, type VerifyFinding, type VerifyOptions, type VerifyReport } from './inspect/verify.js';
