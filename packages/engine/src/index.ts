export { CheckpointSource, type ReadOptions } from './checkpoint-source.js';
export {
  compare,
  type CheckpointDifference,
  type CompareOptions,
  type RegionDifference,
} from './compare.js';
export { createEngine, Engine, type EngineOptions } from './engine.js';
export { exportRaw, mainRegion, type ExportReport } from './export/raw.js';
export { writeAt, writeWhole } from './export/partial-file.js';
export type { CheckpointCost, CheckpointResult, ProtectionEvent } from './events.js';
export { Protection, type ProtectOptions } from './protection.js';
export { restore, type RestoreRequest } from './restore.js';
export type { ScheduleOptions } from './schedule.js';
export type { TakeOptions } from './take-checkpoint.js';
export { verify, type VerifyFinding, type VerifyOptions, type VerifyReport } from './verify.js';
