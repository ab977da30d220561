import { FitdocError, isFitdocError } from '@fitdoc/interface';

/** The `code` of a file-system error, or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || isFitdocError(error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : undefined;
}

/** Whether the path, or a part of it, is not there. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '');
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];
/** A limit of the moment, or a disk or server that went and may come back. */
const PASSING = [
  ...['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR', 'ESTALE', 'ETIMEDOUT', 'EIO', 'ENODEV', 'ENXIO'],
  ...['ENOTCONN', 'EHOSTDOWN', 'EHOSTUNREACH', 'ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EREMOTEIO'],
];
const DENIED = ['EACCES', 'EPERM', 'EROFS'];

/** The store's error for a file system's. A FitdocError is passed on as it is. */
export function storeError(error: unknown, what: string): unknown {
  const code = errnoOf(error);
  if (code === undefined) return error;
  if (FULL.includes(code)) {
    return new FitdocError('STORE_FULL', `${what}: no space is left.`, {
      cause: error,
      hint: 'Prune checkpoints, or make room on the file system; what is stored stays readable.',
      details: { errno: code },
    });
  }
  if (DENIED.includes(code)) {
    return new FitdocError('STORE_DENIED', `${what}: the operating system does not allow it (${code}).`, {
      cause: error,
      hint: 'Give the user that runs fitdoc the right to read and write the directory, or use another.',
      details: { errno: code },
    });
  }
  return new FitdocError('STORE_UNAVAILABLE', `${what}: ${(error as Error).message}.`, {
    cause: error,
    hint: hintFor(code),
    retryable: PASSING.includes(code),
    details: { errno: code },
  });
}

function hintFor(code: string): string {
  if (code === 'EIO') return 'The disk or the network behind the directory fails: check the kernel log.';
  if (code === 'EMFILE' || code === 'ENFILE') return 'Raise the limit of open files.';
  if (code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'ENOSYS') {
    return 'The file system lacks hard links or syncing; use another.';
  }
  return 'Check that the directory is there and its file system is mounted.';
}
