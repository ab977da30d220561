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
  /** The guest stands by its operator's doing or its own (paused, suspended to RAM, panicked): `standing` says why. */
  | 'standing'
  /** Its operator has it for a while, until `releasedUntil`: nothing is attached. */
  | 'released'
  /** The guest was left paused by us and needs an operator. */
  | 'stuck';

/** Why a guest stands that we did not stop. */
export interface Standing {
  /** The hypervisor's word for it: `paused`, `suspended`, `guest-panicked`. */
  readonly state: string;
  readonly message: string;
  readonly hint?: string;
}

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

/** A stored object that the chain stood on was found lost, and protection went on without it. */
export interface Damage extends Problem {
  /** The damaged object; absent where none is there. */
  readonly key?: string;
  /** The checkpoint that is missing, where that is known. */
  readonly missing?: string;
}

/** What became of a pause's budget, by checkpoint, since the machine was attached. */
export interface PauseCounts {
  readonly kept: number;
  readonly exceeded: number;
  /** Left out: the pause would have been longer. */
  readonly refused: number;
}

/** Restore points that one rule keeps; one point may be kept by several. */
export interface KeptByRule {
  /** `last`, `all`, `minutely tier`, `daily`; `tag`, `in use` and `forked from` keep beside the rules. */
  readonly rule: string;
  readonly points: number;
}

/** What a machine's history costs as of the last look at it, and what became of it in this run of the daemon. */
export interface HistoryStatus {
  /** Restore points that something keeps, and by what. */
  readonly keptPoints: number;
  readonly keptBy: readonly KeptByRule[];
  /** Restore points that nothing keeps and that are still there: what is not worth a removal yet, or a merge first. */
  readonly surplusPoints: number;
  /**
   * Milliseconds since nothing was left to do for the policy, but for what the newest checkpoints move on. Measured: no
   * step of the wall clock changes it. Absent until that was so for the first time.
   */
  readonly reachedAgeMs?: number;
  /** Objects that a restore of the newest reads, and of the one that reads most. */
  readonly pathObjects: number;
  readonly worstPathObjects: number;
  /** Objects beyond what a restore is to read at most, because merging lags behind; and for how many seconds' worth. */
  readonly lagObjects: number;
  readonly lagSeconds: number;
  /** Merges done, the bytes that they wrote, objects removed and the bytes that these freed. */
  readonly merges: number;
  readonly mergedBytes: number;
  /** Bytes of the checkpoints that were captured meanwhile: what merging wrote is paid for each of them. */
  readonly capturedBytes: number;
  readonly removed: number;
  readonly freedBytes: number;
}

export interface MachineStatus {
  /** When this was said, by the daemon's clock, which dates all of it. */
  readonly at: string;
  /** The machine's name in the configuration: what the API calls it. */
  readonly name: string;
  /** The adapter's location, secrets removed. */
  readonly location: string;
  /** The pattern of the configuration that it matches; absent where the configuration names it. */
  readonly pattern?: string;
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
  /**
   * How long ago the last good checkpoint was taken, when this was said; without any, since the protection began.
   * Measured: no step of the wall clock changes it.
   */
  readonly successAgeMs: number;
  readonly checkpoints: number;
  readonly failures: number;
  /** Scheduled checkpoints that were left out because the machine fell behind. */
  readonly missed: number;
  /** Present where the configuration sets a budget. */
  readonly pauseBudget?: PauseCounts;
  readonly history?: HistoryStatus;
  /** In the repository now; absent before it was looked at. */
  readonly restorePoints?: number;
  readonly lastCheckpoint?: LastCheckpoint;
  readonly lastVerifiedAt?: string;
  readonly lastBoot?: BootStatus;
  readonly lastProblem?: Problem;
  /** The last of this run of the daemon; gone when a verification finds everything whole. */
  readonly lastDamage?: Damage;
  readonly standing?: Standing;
  readonly releasedUntil?: string;
  readonly limits: readonly string[];
}

/** What a pattern of the configuration matches. */
export interface PatternStatus {
  /** As the configuration has it: `libvirt:web-*`. */
  readonly pattern: string;
  /** Names of machines that are protected by it, whether they run or not. */
  readonly machines: readonly string[];
  /** Machines that fit and cannot be protected. */
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  /** When it was last learned what there is; absent before the first time. */
  readonly lookedAt?: string;
  /** Why the last look failed; machines stay as they were then. */
  readonly lastProblem?: Problem;
}

/** Where a standby stands: a machine that is protected elsewhere and kept ready here. */
export type StandbyState =
  /** Nothing is ready yet, or another process has its directory: `lastProblem` says why. */
  | 'waiting'
  /** The first state is being read. */
  | 'reading'
  /** The machine can be started from it; while `lastProblem` is there, from an older state than there might be. */
  | 'ready'
  | 'promoting'
  /** The machine was started from it, which is its memory now. */
  | 'promoted';

export interface StandbyStatus {
  /** When this was said, by the daemon's clock, which dates all of it. */
  readonly at: string;
  /** Its name in the configuration: what the API calls it. */
  readonly name: string;
  /** As the configuration has it, and its id, once the repository told. */
  readonly machine: string;
  readonly machineId?: string;
  readonly repository: string;
  readonly directory: string;
  readonly state: StandbyState;
  readonly since: string;
  /** The state that the machine can be started from. */
  readonly ready?: { readonly id: string; readonly sequence: number; readonly capturedAt: string };
  /**
   * How long ago that was captured, by the clocks of the two hosts: what is lost when the protected one ends now. Measured
   * since it is ready: no step of the wall clock changes it.
   */
  readonly behindMs?: number;
  readonly promoted?: { readonly at: string; readonly location: string; readonly pid: number };
  readonly lastProblem?: Problem;
}

/** What a promotion came to. */
export interface PromotionResult {
  readonly checkpoint: string;
  readonly capturedAt: string;
  /** Where the machine runs, and its process. */
  readonly location: string;
  readonly pid: number;
  readonly state: string;
  readonly advancedMs: number;
  readonly runningMs: number;
  /** Who wrote the machine's chain until then and gave a sign of life lately: the guest may still run there. */
  readonly writersBefore: readonly {
    readonly program: string;
    readonly host: string;
    readonly location: string;
  }[];
  readonly consoles: readonly string[];
  readonly notes: readonly string[];
}

/** How the last checkpoint did that was started apart from everything. */
export interface BootStatus {
  readonly at: string;
  /** `runs`, or what went wrong. */
  readonly verdict: string;
  readonly about: string;
}

export type JobKind = 'checkpoint' | 'restore' | 'verify' | 'boot' | 'prune' | 'promote';
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
  /** Objects that a restore of it reads, and their bytes; absent where something is missing. */
  readonly readObjects?: number;
  readonly readBytes?: number;
  readonly tags: readonly string[];
}

/** What goes over the event stream. */
export type DaemonEvent =
  | { readonly type: 'machine'; readonly machine: MachineStatus }
  | { readonly type: 'checkpoint'; readonly machine: string; readonly checkpoint: LastCheckpoint }
  | { readonly type: 'job'; readonly job: JobStatus }
  | { readonly type: 'standby'; readonly standby: StandbyStatus }
  | { readonly type: 'reloaded'; readonly machines: readonly string[]; readonly standbys: readonly string[] };

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
