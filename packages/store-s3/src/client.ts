import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { S3Settings } from './config.js';
import { credentialsFrom } from './credentials.js';
import type { S3Location } from './location.js';

const quiet = (): void => undefined;
/** The handler would otherwise write to the console. */
const silence = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

/** A client that prints nothing, tries once (the store retries) and gives up on silence. */
export function createClient(place: S3Location, settings: S3Settings): S3Client {
  const file = settings.credentialsFile ?? process.env['FITDOC_S3_CREDENTIALS_FILE'];
  const endpoint = place.endpoint ?? process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
  return withoutVersionWarning(
    () =>
      new S3Client({
        region: settings.region,
        ...(endpoint === undefined ? { followRegionRedirects: true } : { endpoint, forcePathStyle: true }),
        ...(file !== undefined && { credentials: credentialsFrom(file) }),
        maxAttempts: 1,
        logger: silence,
        // Servers other than AWS refuse the checksums that the SDK adds by default. Bodies are signed.
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
        requestHandler: new NodeHttpHandler({
          connectionTimeout: Math.min(10_000, settings.timeoutMs),
          socketTimeout: settings.timeoutMs,
          httpAgent: { keepAlive: true, maxSockets: 64 },
          httpsAgent: { keepAlive: true, maxSockets: 64 },
          logger: silence,
        }),
      }),
  );
}

const SWITCH = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';

/** The SDK announces the end of its support for a version of Node on the program's stderr; that is not ours to do. */
function withoutVersionWarning<T>(create: () => T): T {
  const before = process.env[SWITCH];
  process.env[SWITCH] = 'true';
  try {
    return create();
  } finally {
    if (before === undefined) delete process.env[SWITCH];
    else process.env[SWITCH] = before;
  }
}
