import { FitdocError, isFitdocError, type ErrorCode } from '@fitdoc/interface';
import type { S3Location } from './location.js';

interface S3Failure {
  readonly name?: string;
  readonly message?: string;
  /** The SDK's errors have it when a server answered. */
  readonly $fault?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

const FULL = /^(QuotaExceeded|EntityTooLarge|InsufficientCapacity|InsufficientStorage|XMinioStorageFull)/;
const CREDENTIALS = /Credential|Signature|InvalidAccessKey|ExpiredToken|InvalidToken|TokenRefresh/;
/** Refusals that say something of this one transfer, not of the request. */
const TRANSIENT =
  /^(SlowDown|RequestTimeout|RequestTimeTooSkewed|BadDigest|IncompleteBody|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch)$/;

function codeOf(name: string, status: number | undefined): ErrorCode {
  if (TRANSIENT.test(name)) return 'STORE_UNAVAILABLE';
  if (name === 'PreconditionFailed' || status === 412) return 'STORE_EXISTS';
  if (FULL.test(name) || status === 507) return 'STORE_FULL';
  if (status === 401 || status === 403 || name === 'AccessDenied' || CREDENTIALS.test(name))
    return 'STORE_DENIED';
  if (status === 404 || name === 'NoSuchKey' || name === 'NotFound') return 'STORE_NOT_FOUND';
  return 'STORE_UNAVAILABLE';
}

/** No answer, a broken one, a server in trouble, or a conflict with another request of the moment. */
function isTransient(name: string, status: number | undefined): boolean {
  if (status === undefined || status < 300 || status >= 500) return status !== 501;
  return status === 408 || status === 409 || status === 429 || TRANSIENT.test(name);
}

const HINTS: Partial<Record<ErrorCode, string>> = {
  STORE_DENIED: 'Check the credentials and what they may do in this bucket.',
  STORE_FULL: 'Make room in the bucket, or raise its quota.',
  STORE_UNAVAILABLE: 'Check the endpoint and the network, then try again.',
};

const MOST_WORDS = 300;

/** What the server says in its own words: its reason is often nowhere else. Not where keys are its subject. */
function wordsOf({ name = '', message = '', $fault }: S3Failure): string {
  if ($fault === undefined || CREDENTIALS.test(name)) return '';
  const words = message.replaceAll(/\s+/g, ' ').trim();
  return words === '' || words === name || words === 'UnknownError' ? '' : `: ${words.slice(0, MOST_WORDS)}`;
}

/**
 * What went wrong, as a typed error. Only the server's name for the failure, its message, its status and the
 * request's number go into it: an error of the SDK carries the request, and with it headers that are nobody's
 * business.
 */
export function storeError(error: unknown, doing: string): FitdocError {
  if (isFitdocError(error)) return error;
  const failure = error as S3Failure;
  const name = failure.name ?? '';
  const status = failure.$metadata?.httpStatusCode;
  const code = codeOf(name, status);
  const what = [failure.name, failure.code, status].filter((part) => part !== undefined).join(' ');
  const hint = name === 'RequestTimeTooSkewed' ? 'Set the clock of this host.' : HINTS[code];
  return new FitdocError(
    code,
    `${doing} failed: ${what || 'no answer'}${wordsOf(failure).replace(/\.$/, '')}.`,
    {
      ...(hint !== undefined && { hint }),
      retryable: code === 'STORE_UNAVAILABLE' && isTransient(name, status),
      details: { status: status ?? null, name, requestId: failure.$metadata?.requestId ?? null },
    },
  );
}

/** The server's name for a failure, of an error of the SDK or one made of it. */
export function failureName(error: unknown): string {
  if (isFitdocError(error)) {
    const name = error.details['name'];
    return typeof name === 'string' ? name : '';
  }
  return (error as S3Failure).name ?? '';
}

export function noBucket(place: S3Location): FitdocError {
  return new FitdocError('STORE_NOT_FOUND', `There is no bucket ${place.bucket}.`, {
    hint: 'Make the bucket with the tools of your object store; fitdoc does not make buckets.',
  });
}

export function missing(key: string): FitdocError {
  return new FitdocError('STORE_NOT_FOUND', `There is no object ${key}.`, { details: { key } });
}

export function exists(key: string): FitdocError {
  return new FitdocError('STORE_EXISTS', `There is an object ${key} already.`, { details: { key } });
}

export function closed(location: string): FitdocError {
  return new FitdocError('STORE_CLOSED', `The store ${location} is closed.`);
}

export function refuseWeak(location: string): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', `The server of ${location} ignores If-None-Match.`, {
    hint: 'Use a server that has it, a bucket without versions (Ceph ignores it where there are some), or set conditionalPut = "weak" if only one fitdoc writes to this bucket.',
  });
}
