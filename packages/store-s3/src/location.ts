import { FitdocError } from '@fitdoc/interface';

export interface S3Location {
  readonly bucket: string;
  /** What every key is put behind: empty, or ending with a slash. */
  readonly prefix: string;
  /** For servers other than AWS. */
  readonly endpoint?: string;
}

/**
 * Reads `BUCKET[/PREFIX]` or `http[s]://HOST[:PORT]/BUCKET[/PREFIX]`. Credentials in a location are refused:
 * locations are shown in logs and process lists.
 */
export function parseS3Location(location: string): S3Location {
  const url = /^(https?):\/\/([^/]+)\/(.*)$/.exec(location);
  const path = url ? (url[3] ?? '') : location;
  if (url?.[2]?.includes('@')) {
    throw invalid('A store location must not hold credentials.', 'Put them into the environment or a file.');
  }
  const [bucket = '', ...rest] = path.split('/').filter((part) => part !== '');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw invalid(
      `${JSON.stringify(bucket)} is not the name of a bucket.`,
      'Use s3:BUCKET/PREFIX or s3:https://HOST/BUCKET/PREFIX.',
    );
  }
  const prefix = rest.length > 0 ? `${rest.join('/')}/` : '';
  return { bucket, prefix, ...(url && { endpoint: `${url[1]}://${url[2]}` }) };
}

export function formatS3Location({ bucket, prefix, endpoint }: S3Location): string {
  return `s3:${endpoint ? `${endpoint}/` : ''}${bucket}/${prefix}`.replace(/\/$/, '');
}

function invalid(message: string, hint: string): FitdocError {
  return new FitdocError('LOCATION_INVALID', message, { hint });
}
