/**
 * The stable codes of fitdoc's errors. A code's meaning changes only in a major version; messages may change
 * any time. What each code means stands in this package's README.
 */
export const ERROR_CODES = [
  'ABORTED',
  'ARGUMENT_INVALID',
  'LOCATION_INVALID',
  'LOCATION_UNKNOWN',
  'CAPABILITY_MISSING',
  'MEMORY_BUDGET',
  'WORKER_DIED',
  'STORE_NOT_FOUND',
  'STORE_EXISTS',
  'STORE_FULL',
  'STORE_DENIED',
  'STORE_UNAVAILABLE',
  'STORE_CLOSED',
  'REPOSITORY_NOT_FOUND',
  'REPOSITORY_EXISTS',
  'REPOSITORY_LOCKED',
  'REPOSITORY_INCOMPATIBLE',
  'REPOSITORY_DAMAGED',
  'KEY_MISSING',
  'KEY_WRONG',
  'CHECKPOINT_NOT_FOUND',
  'CHECKPOINT_AMBIGUOUS',
  'CHECKPOINT_IN_USE',
  'FORMAT_FOREIGN',
  'FORMAT_VERSION',
  'FORMAT_UNSUPPORTED',
  'FORMAT_TRUNCATED',
  'FORMAT_DAMAGED',
  'FORMAT_LIMIT',
  'CODEC_UNKNOWN',
  'CODEC_DAMAGED',
  'MACHINE_NOT_FOUND',
  'MACHINE_GONE',
  'MACHINE_BUSY',
  'MACHINE_CONFLICT',
  'MACHINE_PAUSED',
  'MACHINE_NOT_RUNNING',
  'MACHINE_HAS_DISKS',
  'MACHINE_INCOMPATIBLE',
  'CAPTURE_FAILED',
  'RESTORE_FAILED',
  'PROTOCOL_ERROR',
  'VERIFY_FAILED',
  'CONFIG_INVALID',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface FitdocErrorOptions {
  readonly cause?: unknown;
  /** What the user can do next, as a sentence. */
  readonly hint?: string;
  /** Whether the same call may succeed later with nothing changed but time. */
  readonly retryable?: boolean;
  /** Machine-readable particulars, safe to log (never a secret). */
  readonly details?: Readonly<Record<string, unknown>>;
}

// A registered symbol, not instanceof: two installed copies of this package must recognise each other's errors.
const marker = Symbol.for('fitdoc.error');

/** The one error class of fitdoc: what happened in `message`, why in `cause`, what to do next in `hint`. */
export class FitdocError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: FitdocErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FitdocError';
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
    this.details = options.details ?? {};
    Object.defineProperty(this, marker, { value: true });
  }
}

/** Whether `error` is a FitdocError (of any installed copy), and of the given code if one is named. */
export function isFitdocError(error: unknown, code?: ErrorCode): error is FitdocError {
  if (typeof error !== 'object' || error === null || !(marker in error)) return false;
  return code === undefined || (error as unknown as FitdocError).code === code;
}

/**
 * The error that an aborted call rejects with. The signal's reason becomes the cause; a reason that is itself
 * a FitdocError (a time-out set by the caller, say) is passed on as it is.
 */
export function abortError(signal: AbortSignal): FitdocError {
  if (isFitdocError(signal.reason)) return signal.reason;
  return new FitdocError('ABORTED', 'The operation was cancelled.', { cause: signal.reason });
}

/** Throws `abortError` when the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}
