/** When checkpoints are due. All moments are milliseconds of one clock that nobody sets. */
export interface Pace {
  /** For people: `every 1s`. */
  readonly description: string;
  /** The interval in force, where there is one. */
  readonly intervalMs: number | undefined;
  /** When the first after an attach is due: a machine without any checkpoint gets one at once. */
  first(nowMs: number, hasCheckpoint: boolean): number;
  /** When the next is due, given when the last was due. */
  next(lastDueMs: number, nowMs: number): number;
  /** How many would have been due after the one at `lastDueMs` and before `untilMs`. */
  missed(lastDueMs: number, untilMs: number): number;
  /** To be asked every few seconds: when what was due at `dueMs` is due now that somebody may have set the wall clock. */
  revise?(dueMs: number, nowMs: number): number;
  /** Learns what a checkpoint cost: the guest's pause, and the time until it was durable. */
  learn(pauseMs: number, commitMs: number): void;
}
