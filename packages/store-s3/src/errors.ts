import { FitdocError, isFitdocError, type ErrorCode } from '@fitdoc/interface';

interface S3Failure {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const UNREACHABLE = /^(ECONN|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|EPIPE|TimeoutError|NetworkingError)/;
const FULL = /^(QuotaExceeded|EntityTooLarge|InsufficientCapacity|InsufficientStorage)/;

function codeOf(failure: S3Failure): ErrorCode {
  const name = failure.name ?? '';
  const status = failure.$metadata?.httpStatusCode;
  if (name === 'NoSuchKey' || name === 'NotFound' || name === 'NoSuchBucket') return 'STORE_NOT_FOUND';
  if (name === 'PreconditionFailed' || status === 412) return 'STORE_EXISTS';
  if (FULL.test(name) || status === 507) return 'STORE_FULL';
  if (status === 401 || status === 403 || /Credential|Signature|InvalidAccessKey/.test(name))
    return 'STORE_DENIED';
  if (status === 404) return 'STORE_NOT_FOUND';
  return 'STORE_UNAVAILABLE';
}

const HINTS: Partial<Record<ErrorCode, string>> = {
  STORE_DENIED: 'Check the credentials and what they may do in this bucket.',
  STORE_FULL: 'Make room in the bucket, or raise its quota.',
  STORE_UNAVAILABLE: 'Check the endpoint and the network, then try again.',
};

/**
 * What went wrong, as a typed error. Only the server's name for the failure and its status go into it: SDK
 * errors carry the request, and with it headers that are nobody's business.
 */
export function storeError(error: unknown, doing: string): FitdocError {
  if (isFitdocError(error)) return error;
  const failure = error as S3Failure;
  const code = codeOf(failure);
  const status = failure.$metadata?.httpStatusCode;
  const unreachable = UNREACHABLE.test(failure.code ?? '') || UNREACHABLE.test(failure.name ?? '');
  const what = [failure.name, failure.code, status].filter((part) => part !== undefined).join(' ');
  const hint = HINTS[code];
  return new FitdocError(code, `${doing} failed: ${what || 'no answer'}.`, {
    ...(hint !== undefined && { hint }),
    retryable:
      code === 'STORE_UNAVAILABLE' &&
      (unreachable || status === undefined || status >= 500 || status === 429 || status === 409),
    details: { status: status ?? null, name: failure.name ?? null },
  });
}
