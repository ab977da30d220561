import { readFile } from 'node:fs/promises';
import { FitdocError } from '@fitdoc/interface';

/** Settings of the S3 store; in a daemon's configuration they stand beside the location. */
export interface S3Config {
  /** Default `us-east-1`, which most other servers accept. */
  readonly region?: string;
  /** `{ "accessKeyId": ..., "secretAccessKey": ... }` as JSON. Default: the SDK's own chain (AWS_* and so on). */
  readonly credentialsFile?: string;
  /** Milliseconds without an answer after which a request is given up. Default 60 000. */
  readonly timeoutMs?: number;
  /** Tries of one request, the first included. Default 5. */
  readonly attempts?: number;
  /** Bytes of a part of a large object. Default 8 MiB; least 5 MiB. */
  readonly partBytes?: number;
  /** Parts under way at a time. Default 4. */
  readonly parallelParts?: number;
  /**
   * `require` (default): refuse a server that ignores If-None-Match. `weak`: on such a server look first and
   * put then; two writers of one key may then overwrite each other.
   */
  readonly conditionalPut?: 'require' | 'weak';
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const KEYS = [
  'region',
  'credentialsFile',
  'timeoutMs',
  'attempts',
  'partBytes',
  'parallelParts',
  'conditionalPut',
];

export function parseS3Config(config: Readonly<Record<string, unknown>> = {}): S3Config {
  const unknown = Object.keys(config).filter((key) => !KEYS.includes(key));
  if (unknown.length > 0) throw invalid(`Unknown setting of the S3 store: ${unknown.join(', ')}.`);
  const { conditionalPut, partBytes } = config;
  if (conditionalPut !== undefined && conditionalPut !== 'require' && conditionalPut !== 'weak') {
    throw invalid('conditionalPut is "require" or "weak".');
  }
  if (partBytes !== undefined && !(typeof partBytes === 'number' && partBytes >= 5 * 2 ** 20)) {
    throw invalid('partBytes is a number of at least 5 MiB.');
  }
  return config;
}

export async function readCredentials(file: string): Promise<S3Credentials> {
  let parsed: Partial<S3Credentials>;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8')) as Partial<S3Credentials>;
  } catch {
    // The cause is left out on purpose: a JSON error quotes what it read.
    throw invalid(`The credentials file ${file} cannot be read as JSON.`);
  }
  const { accessKeyId, secretAccessKey, sessionToken } = parsed;
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') {
    throw invalid(`The credentials file ${file} lacks accessKeyId or secretAccessKey.`);
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}

function invalid(message: string): FitdocError {
  return new FitdocError('CONFIG_INVALID', message, { hint: 'See the README of @fitdoc/store-s3.' });
}
