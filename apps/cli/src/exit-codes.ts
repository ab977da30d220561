import { isFitdocError, type ErrorCode } from '@fitdoc/interface';

/** What the process's exit code says. Documented in the README; never changed, only added to. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  partly: 3,
  noRepository: 10,
  locked: 11,
  /** The repository is encrypted, and no secret was given that opens it. */
  notOpened: 12,
  verificationFailed: 20,
  incompatible: 21,
  guestPaused: 22,
  interrupted: 130,
  /** The reader of the results ended first, as in `| head -1`: what SIGPIPE gives. */
  readerGone: 141,
} as const;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  ABORTED: EXIT.interrupted,
  ARGUMENT_INVALID: EXIT.usage,
  LOCATION_INVALID: EXIT.usage,
  LOCATION_UNKNOWN: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  REPOSITORY_NOT_FOUND: EXIT.noRepository,
  REPOSITORY_LOCKED: EXIT.locked,
  KEY_MISSING: EXIT.notOpened,
  KEY_WRONG: EXIT.notOpened,
  MACHINE_CONFLICT: EXIT.locked,
  VERIFY_FAILED: EXIT.verificationFailed,
  MACHINE_INCOMPATIBLE: EXIT.incompatible,
  REPOSITORY_INCOMPATIBLE: EXIT.incompatible,
  MACHINE_PAUSED: EXIT.guestPaused,
};

export function exitCodeOf(error: unknown): number {
  return (isFitdocError(error) && BY_CODE[error.code]) || EXIT.failed;
}
