/** Has the guest's file systems frozen before a capture, and thawed after it, whatever happens. */
export interface Quiesce {
  /** Milliseconds after which they are thawed at the latest. */
  readonly timeoutMs: number;
  /** When they cannot be frozen, or were thawed too early: the capture's failure, or an outcome of it. */
  readonly onFailure: 'fail' | 'note';
}

/** How that went. */
export interface QuiesceOutcome {
  /** Milliseconds from the request until they were thawed. */
  readonly frozenMs: number;
  /** Why the capture is not one of frozen file systems; absent where it is. */
  readonly failure?: string;
}
