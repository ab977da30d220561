export {
  CrashFileSystem,
  SimulatedCrash,
  type CrashPlan,
  type SimulatedFile,
} from './crash/crash-file-system.js';
export {
  crashEverywhere,
  failEverywhere,
  type CrashScenario,
  type FailureScenario,
} from './crash/everywhere.js';
export type { Survival } from './crash/nodes.js';
