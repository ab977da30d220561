import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { isFitdocError } from '@fitdoc/interface';
import { Checksums } from './checksums.js';
import { failureName, noBucket, storeError } from './errors.js';
import type { S3Location } from './location.js';
import { RESERVED_BY, STORED_BY } from './marks.js';
import { retrying } from './retry.js';

/** What a HEAD tells of an object. */
export interface FoundObject {
  readonly size: number;
  readonly modifiedMs: number;
  readonly etag: string;
  /** Which put stored it. */
  readonly storedBy: string | undefined;
  /** The upload that it keeps the place for; such an object is none for readers. */
  readonly reservedBy: string | undefined;
}

/** Sends requests to one bucket: with retries, and with errors that are ours. */
export class S3Requests {
  readonly client: S3Client;
  readonly place: S3Location;
  readonly #attempts: number;
  readonly #checksums: Checksums;

  constructor(client: S3Client, place: S3Location, attempts: number) {
    this.client = client;
    this.place = place;
    this.#attempts = attempts;
    this.#checksums = new Checksums(client);
  }

  /** Where a key is on the server. */
  at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.place.bucket, Key: this.place.prefix + key };
  }

  /** The server's time, as far as its answers tell. */
  now(): number {
    return Date.now() + this.client.config.systemClockOffset;
  }

  /** `send` is called once a try, and must be safe to repeat. */
  async request<T>(
    doing: string,
    signal: AbortSignal,
    send: (options: { abortSignal: AbortSignal }, attempt: number) => Promise<T>,
  ): Promise<T> {
    return retrying({ attempts: this.#attempts, signal }, async (attempt) => {
      try {
        return await this.#sendSummed(() => send({ abortSignal: signal }, attempt));
      } catch (error) {
        // A missing bucket is not a missing object: nothing will be found or stored there.
        if (failureName(error) === 'NoSuchBucket') throw noBucket(this.place);
        throw storeError(error, doing);
      }
    });
  }

  /** Asks what is good to know and no more: undefined when the server does not tell. */
  once(
    doing: string,
    signal: AbortSignal,
  ): <T>(send: (options: { abortSignal: AbortSignal }) => Promise<T>) => Promise<T | undefined> {
    return async (send) => {
      try {
        return await send({ abortSignal: signal });
      } catch (error) {
        if (signal.aborted) throw storeError(error, doing);
        return undefined;
      }
    };
  }

  async #sendSummed<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      if (this.#checksums.learnFrom(error)) return send();
      throw error;
    }
  }

  /** What stands under a key, placeholders included. */
  async head(key: string, signal: AbortSignal): Promise<FoundObject | undefined> {
    try {
      const answer = await this.request(`Looking up ${key}`, signal, (options) =>
        this.client.send(new HeadObjectCommand(this.at(key)), options),
      );
      return {
        size: answer.ContentLength ?? 0,
        modifiedMs: answer.LastModified?.getTime() ?? 0,
        etag: answer.ETag ?? '',
        storedBy: answer.Metadata?.[STORED_BY],
        reservedBy: answer.Metadata?.[RESERVED_BY],
      };
    } catch (error) {
      if (isFitdocError(error, 'STORE_NOT_FOUND') && failureName(error) !== '') return undefined;
      throw error;
    }
  }
}
