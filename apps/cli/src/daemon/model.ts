// The part of the daemon's answers that the command shows; its OpenAPI document describes all of it.

export interface DaemonCheckpoint {
  readonly id: string;
  readonly sequence: number;
  readonly kind: 'base' | 'increment';
  readonly capturedAt: string;
  readonly pauseMs: number;
  readonly dirtyPages: number;
  readonly changedWords: number;
  readonly storedBytes: number;
}

export interface DaemonProblem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export interface DaemonHistory {
  readonly keptPoints: number;
  readonly keptBy: readonly { readonly rule: string; readonly points: number }[];
  readonly surplusPoints: number;
  readonly reachedAgeMs?: number;
  readonly pathObjects: number;
  readonly worstPathObjects: number;
  readonly lagObjects: number;
  readonly merges: number;
  readonly mergedBytes: number;
  readonly capturedBytes: number;
  readonly removed: number;
  readonly freedBytes: number;
}

export interface DaemonMachine {
  readonly name: string;
  readonly location: string;
  readonly repository: string;
  readonly state: string;
  readonly schedule: string;
  /** Measured by the daemon; absent in answers of version 0.1. */
  readonly successAgeMs?: number;
  readonly checkpoints: number;
  readonly failures: number;
  readonly missed: number;
  /** In the repository now; absent in answers of version 0.1. */
  readonly restorePoints?: number;
  readonly history?: DaemonHistory;
  readonly lastCheckpoint?: DaemonCheckpoint;
  readonly lastProblem?: DaemonProblem;
  readonly lastDamage?: DaemonProblem & { readonly key?: string; readonly missing?: string };
  readonly standing?: { readonly state: string; readonly message: string; readonly hint?: string };
  readonly releasedUntil?: string;
}

export interface DaemonStandby {
  readonly name: string;
  readonly machine: string;
  readonly state: string;
  readonly ready?: { readonly id: string; readonly sequence: number; readonly capturedAt: string };
  readonly behindMs?: number;
  readonly promoted?: { readonly location: string };
  readonly lastProblem?: DaemonProblem;
}

export interface DaemonJob {
  readonly id: string;
  readonly state: string;
  readonly endedAt?: string;
  readonly result?: unknown;
  readonly problem?: DaemonProblem;
}
