/** Where a long call stands. `done` only grows within a phase; `total` is absent while it is unknown. */
export interface Progress {
  /** What is going on, as a short present participle: "reading pages". */
  readonly phase: string;
  readonly done: number;
  readonly total?: number;
  readonly unit: 'pages' | 'bytes' | 'checkpoints' | 'objects' | 'machines';
}

/** Options that every call which may take long accepts. */
export interface CallOptions {
  /** Cancels the call: it rejects with code ABORTED, leaving what the call's contract says. */
  readonly signal?: AbortSignal;
  /** Called synchronously, often; must be cheap and must not throw. */
  readonly onProgress?: (progress: Progress) => void;
}

/** A value that survives JSON unchanged. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
