import { readFile } from 'node:fs/promises';
import { invalid } from './config.js';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** How long credentials from a file are used before the file is read again. */
const FRESH_MS = 15 * 60_000;

/** Reads a credentials file. CONFIG_INVALID; nothing of what stands in the file gets into an error. */
export async function readCredentials(file: string): Promise<S3Credentials> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch {
    // The cause is left out on purpose: a JSON error quotes what it read.
    throw invalid(`The credentials file ${file} cannot be read as JSON.`);
  }
  const { accessKeyId, secretAccessKey, sessionToken } = (parsed ?? {}) as Partial<S3Credentials>;
  if (!isText(accessKeyId) || !isText(secretAccessKey))
    throw invalid(`The credentials file ${file} lacks accessKeyId or secretAccessKey.`);
  if (sessionToken !== undefined && !isText(sessionToken))
    throw invalid(`The sessionToken in the credentials file ${file} is no text.`);
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}

/** Credentials for the SDK, which asks again before they expire: a replaced file is seen without a restart. */
export function credentialsFrom(file: string): () => Promise<S3Credentials & { expiration: Date }> {
  return async () => ({ ...(await readCredentials(file)), expiration: new Date(Date.now() + FRESH_MS) });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
