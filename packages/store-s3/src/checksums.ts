import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';

interface Refusal {
  readonly name?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/**
 * Content-MD5 for what is stored, once the server has asked for it: buckets with object lock take nothing without,
 * and every such server knows this checksum. Elsewhere it would be work for nothing, since bodies are signed.
 */
export class Checksums {
  #wanted = false;

  constructor(client: S3Client) {
    client.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { method?: string; body?: unknown; headers: Record<string, string> };
        const { body } = request;
        if (
          this.#wanted &&
          request.method === 'PUT' &&
          (typeof body === 'string' || body instanceof Uint8Array)
        )
          request.headers['content-md5'] = createHash('md5').update(body).digest('base64');
        return next(args);
      },
      { step: 'build' },
    );
  }

  /** Whether the server refused for want of a checksum, which is sent from now on. */
  learnFrom(error: unknown): boolean {
    if (this.#wanted) return false;
    const { name = '', message = '', $metadata } = error as Refusal;
    const status = $metadata?.httpStatusCode;
    if (status === undefined || status < 400 || status >= 500) return false;
    this.#wanted =
      /MissingContentMD5|MissingDigest/i.test(name) || /content-?md5|x-amz-checksum/i.test(message);
    return this.#wanted;
  }
}
