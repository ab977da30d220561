import { checkKey, FitdocError, isFitdocError } from '@fitdoc/interface';

export interface S3Location {
  readonly bucket: string;
  /** What every key is put behind: empty, or ending with a slash. */
  readonly prefix: string;
  /** For servers other than AWS. */
  readonly endpoint?: string;
}

/**
 * Reads `BUCKET[/PREFIX]` or `http[s]://HOST[:PORT]/BUCKET[/PREFIX]`. Credentials in a location are refused:
 * locations are shown in logs and process lists. LOCATION_INVALID.
 */
export function parseS3Location(location: string): S3Location {
  // Not quoted: whoever puts a secret into a location must not find it in an error.
  if (/[@?#]/.test(location)) {
    throw invalid(
      'A store location holds neither credentials nor a query.',
      'Put credentials into the environment or into a credentials file.',
    );
  }
  const url = /^(https?):\/\/([^/]+)\/(.*)$/.exec(location);
  const path = url ? (url[3] as string) : location;
  if (url && !URL.canParse(`${url[1]}://${url[2]}`))
    throw invalid(`${JSON.stringify(url[2])} is not a host.`, 'Use s3:https://HOST[:PORT]/BUCKET/PREFIX.');
  const [bucket = '', ...rest] = path.split('/').filter((part) => part !== '');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw invalid(
      `${JSON.stringify(bucket)} is not the name of a bucket.`,
      'Use s3:BUCKET/PREFIX or s3:https://HOST/BUCKET/PREFIX.',
    );
  }
  return {
    bucket,
    prefix: rest.length > 0 ? `${checkPrefix(rest.join('/'))}/` : '',
    ...(url && { endpoint: `${url[1]}://${url[2]}` }),
  };
}

/** A prefix is made as keys are; a server allows 1024 bytes for both together. */
function checkPrefix(prefix: string): string {
  try {
    checkKey(prefix);
    if (prefix.length <= 400) return prefix;
  } catch (error) {
    if (!isFitdocError(error)) throw error;
  }
  throw invalid(
    `Not a prefix for keys: ${JSON.stringify(prefix.slice(0, 80))}.`,
    'A prefix has up to 400 characters of A-Z a-z 0-9 . _ - and /; no segment starts with a dot.',
  );
}

export function formatS3Location({ bucket, prefix, endpoint }: S3Location): string {
  return `s3:${endpoint ? `${endpoint}/` : ''}${bucket}/${prefix}`.replace(/\/$/, '');
}

function invalid(message: string, hint: string): FitdocError {
  return new FitdocError('LOCATION_INVALID', message, { hint });
}
