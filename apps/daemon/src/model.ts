// What the daemon shows of itself: the one vocabulary of supervisor, API, metrics and dashboard.

/** Where a machine's protection stands. */
export type MachineState =
  /** Not attached yet, or waiting for the next try after a failure. */
  | 'waiting'
  | 'attaching'
  /** Attached; a checkpoint is due at `nextDueAt`. */
  | 'protected'
  | 'capturing'
  /** An operator paused the protection; the guest runs. */
  | 'suspended'
  /** The guest was left paused and needs an operator. */
  | 'stuck';

export interface LastCheckpoint {
  readonly id: string;
  readonly sequence: number;
  readonly kind: 'base' | 'increment';
  readonly capturedAt: string;
  readonly pauseMs: number;
  readonly dirtyPages: number;
  readonly changedWords: number;
  readonly storedBytes: number;
}

export interface Problem {
  readonly at: string;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export interface MachineStatus {
  /** The machine's name in the configuration: what the API calls it. */
  readonly name: string;
  /** The adapter's location, secrets removed. */
  readonly location: string;
  readonly repository: string;
  /** The chain's name in the repository, once attached. */
  readonly machineId?: string;
  readonly hypervisor?: string;
  readonly memoryBytes?: number;
  readonly imageBytes?: number;
  readonly state: MachineState;
  readonly since: string;
  readonly schedule: string;
  readonly nextDueAt?: string;
  /** The interval in force, which an adaptive schedule changes. */
  readonly intervalMs?: number;
  readonly checkpoints: number;
  readonly failures: number;
  /** Scheduled checkpoints that were left out because the machine fell behind. */
  readonly missed: number;
  readonly chainDepth?: number;
  readonly lastCheckpoint?: LastCheckpoint;
  readonly lastVerifiedAt?: string;
  readonly lastProblem?: Problem;
  readonly limits: readonly string[];
}

export type JobKind = 'checkpoint' | 'restore' | 'verify' | 'prune';
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

export interface JobStatus {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: JobState;
  /** What it works on, for people: a machine, a checkpoint, a repository. */
  readonly subject: string;
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly progress?: {
    readonly phase: string;
    readonly done: number;
    readonly total?: number;
    readonly unit: string;
  };
  readonly result?: unknown;
  readonly problem?: Problem;
}

/** One line of a machine's timeline. */
export interface TimelineEntry extends LastCheckpoint {
  readonly parent: string | null;
  readonly pages: number;
  readonly rawBytes: number;
  readonly tags: readonly string[];
}

/** What goes over the event stream. */
export type DaemonEvent =
  | { readonly type: 'machine'; readonly machine: MachineStatus }
  | { readonly type: 'checkpoint'; readonly machine: string; readonly checkpoint: LastCheckpoint }
  | { readonly type: 'job'; readonly job: JobStatus }
  | { readonly type: 'reloaded'; readonly machines: readonly string[] };

/** A repository of the configuration, and what it holds. */
export interface RepositoryStatus {
  readonly name: string;
  readonly location: string;
  /** Names of the machines of the configuration that are stored in it. */
  readonly machines: readonly string[];
  readonly reachable: boolean;
  readonly checkpoints?: number;
  /** Bytes of all checkpoints. */
  readonly bytes?: number;
  /** Objects that cannot be read. */
  readonly damaged?: number;
  readonly problem?: Problem;
}

/** Which memory a checkpoint changed. */
export interface MemoryMap {
  readonly checkpoint: string;
  readonly sequence: number;
  readonly kind: 'base' | 'increment';
  /** Pages of all regions. */
  readonly pages: number;
  readonly pagesPerBin: number;
  /** Changed pages in each bin, in the order of page numbers. */
  readonly bins: readonly number[];
  /** False where some batches were spread evenly over the pages that they span instead of being read. */
  readonly exact: boolean;
  readonly regions: readonly {
    readonly name: string;
    readonly kind: 'ram' | 'rom' | 'device';
    readonly firstGfn: number;
    readonly pages: number;
  }[];
}
