import { HeadBucketCommand } from '@aws-sdk/client-s3';
import {
  abortError,
  isFitdocError,
  throwIfAborted,
  type OpenStoreOptions,
  type Store,
  type StoreFactory,
} from '@fitdoc/interface';
import { createClient } from './client.js';
import { parseS3Config } from './config.js';
import { readCredentials } from './credentials.js';
import { noBucket } from './errors.js';
import { formatS3Location, parseS3Location } from './location.js';
import { S3Requests } from './requests.js';
import { S3Store } from './s3-store.js';
import { notesOnVersions } from './versions.js';

/**
 * Opens `s3:BUCKET/PREFIX` or `s3:https://HOST/BUCKET/PREFIX`. The bucket must be there, and the credentials
 * allowed to see it. Whether the server can put conditionally is found out by the first put.
 */
export const storeFactory: StoreFactory = Object.freeze({
  specificationVersion: 'store-v1' as const,
  scheme: 's3',
  async open(location: string, options: OpenStoreOptions = {}): Promise<Store> {
    throwIfAborted(options.signal);
    const place = parseS3Location(location);
    const settings = parseS3Config(options.config);
    // Now, for an error of its own; the client reads it again whenever it wants credentials.
    if (settings.credentialsFile !== undefined) await readCredentials(settings.credentialsFile);
    const client = createClient(place, settings);
    const requests = new S3Requests(client, place, settings.attempts);
    try {
      const signal = options.signal ?? new AbortController().signal;
      await seeBucket(requests, signal);
      return new S3Store(requests, settings, await notesOnVersions(requests, signal));
    } catch (error) {
      client.destroy();
      if (options.signal?.aborted) throw abortError(options.signal);
      throw error;
    }
  },
});

async function seeBucket(requests: S3Requests, signal: AbortSignal): Promise<void> {
  const { client, place } = requests;
  try {
    await requests.request(`Opening ${formatS3Location(place)}`, signal, (options) =>
      client.send(new HeadBucketCommand({ Bucket: place.bucket }), options),
    );
  } catch (error) {
    if (isFitdocError(error, 'STORE_NOT_FOUND')) throw noBucket(place);
    throw error;
  }
}
