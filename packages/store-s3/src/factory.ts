import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import {
  abortError,
  throwIfAborted,
  type OpenStoreOptions,
  type Store,
  type StoreFactory,
} from '@fitdoc/interface';
import { parseS3Config, readCredentials, type S3Config } from './config.js';
import { probeConditionalPut, refuseWeak, type ConditionalPut } from './conditional-put.js';
import { storeError } from './errors.js';
import { formatS3Location, parseS3Location, type S3Location } from './location.js';
import { noBucket, S3Store } from './s3-store.js';

const DEFAULT_PART_BYTES = 8 * 2 ** 20;

/**
 * Opens `s3:BUCKET/PREFIX` or `s3:https://HOST/BUCKET/PREFIX`. The bucket must be there. Whether the server can
 * put conditionally is tried once at each open.
 */
export const storeFactory: StoreFactory = Object.freeze({
  specificationVersion: 'store-v1' as const,
  scheme: 's3',
  async open(location: string, options: OpenStoreOptions = {}): Promise<Store> {
    throwIfAborted(options.signal);
    const place = parseS3Location(location);
    const config = parseS3Config(options.config);
    const client = await connect(place, config);
    try {
      const conditionalPut = await inspect(client, place, config, options.signal);
      return new S3Store({
        client,
        place,
        conditionalPut,
        uploads: {
          partBytes: config.partBytes ?? DEFAULT_PART_BYTES,
          parallelParts: config.parallelParts ?? 4,
        },
      });
    } catch (error) {
      client.destroy();
      if (options.signal?.aborted) throw abortError(options.signal);
      throw storeError(error, `Opening ${formatS3Location(place)}`);
    }
  },
});

async function connect(place: S3Location, config: S3Config): Promise<S3Client> {
  const file = config.credentialsFile ?? process.env['FITDOC_S3_CREDENTIALS_FILE'];
  const endpoint = place.endpoint ?? process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
  const timeout = config.timeoutMs ?? 60_000;
  return new S3Client({
    region: config.region ?? process.env['AWS_REGION'] ?? 'us-east-1',
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(file !== undefined && { credentials: await readCredentials(file) }),
    maxAttempts: config.attempts ?? 5,
    retryMode: 'standard',
    // Other servers than AWS refuse the checksums that the SDK adds by default.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({ connectionTimeout: 10_000, requestTimeout: timeout }),
  });
}

async function inspect(
  client: S3Client,
  place: S3Location,
  config: S3Config,
  signal: AbortSignal | undefined,
): Promise<ConditionalPut> {
  const send = { ...(signal && { abortSignal: signal }) };
  try {
    await client.send(new HeadBucketCommand({ Bucket: place.bucket }), send);
  } catch (error) {
    if (storeError(error, 'Opening').code === 'STORE_NOT_FOUND') throw noBucket(place);
    throw error;
  }
  const found = await probeConditionalPut(client, place, { ...(signal && { signal }) });
  if (found === 'checked' && config.conditionalPut !== 'weak') throw refuseWeak(formatS3Location(place));
  return found;
}
