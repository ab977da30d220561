import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import type { Store } from '@fitdoc/interface';
import { afterAll, inject } from 'vitest';
import { storeFactory, type S3Config } from '../../src/index.js';

export interface TestServer {
  readonly endpoint: string;
  readonly bucket: string;
  readonly directory: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const provided = inject('server');

/** Why the tests that need a server do not run; undefined when they do. */
export const withoutServer = typeof provided === 'string' ? provided : undefined;
/** For titles of suites that are skipped. */
export const because = withoutServer === undefined ? '' : ` (skipped: ${withoutServer})`;

export function server(): TestServer {
  if (typeof provided === 'string') throw new Error(provided);
  return provided;
}

const folder = mkdtempSync(join(tmpdir(), 'fitdoc-s3-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes credentials into a file of their own; gives its path. */
export function credentialsFile(credentials: object): string {
  const file = join(folder, `${randomUUID()}.json`);
  writeFileSync(file, JSON.stringify(credentials), { mode: 0o600 });
  return file;
}

export function serverCredentials(): string {
  const { accessKeyId, secretAccessKey } = server();
  return credentialsFile({ accessKeyId, secretAccessKey });
}

/** A prefix that nothing else uses, as a location. */
export function newPlace(endpoint = server().endpoint): string {
  return `${endpoint}/${server().bucket}/${randomUUID()}`;
}

/** The smallest parts that there are, and time-outs that tests can wait for. */
export const testConfig: S3Config = { partBytes: 5 * 2 ** 20, timeoutMs: 20_000 };

export function openStore(location: string, config: S3Config = {}): Promise<Store> {
  return storeFactory.open(location, {
    config: { ...testConfig, credentialsFile: serverCredentials(), ...config },
  });
}

/** The SDK's client itself, to look behind the store's back. */
export function bareClient(): S3Client {
  const { endpoint, accessKeyId, secretAccessKey } = server();
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
}
