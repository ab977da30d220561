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

export interface DaemonMachine {
  readonly name: string;
  readonly location: string;
  readonly repository: string;
  readonly state: string;
  readonly schedule: string;
  readonly checkpoints: number;
  readonly failures: number;
  readonly missed: number;
  readonly chainDepth?: number;
  readonly lastCheckpoint?: DaemonCheckpoint;
  readonly lastProblem?: DaemonProblem;
}

export interface DaemonJob {
  readonly id: string;
  readonly state: string;
  readonly endedAt?: string;
  readonly result?: unknown;
  readonly problem?: DaemonProblem;
}
