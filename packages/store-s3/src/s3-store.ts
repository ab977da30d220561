import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3';
import {
  abortError,
  checkKey,
  checkRange,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type ByteRange,
  type CallOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
  type StoreSupports,
} from '@fitdoc/interface';
import type { ConditionalPut } from './conditional-put.js';
import { storeError } from './errors.js';
import type { S3Location } from './location.js';
import { formatS3Location } from './location.js';
import { upload, type UploadSettings } from './upload.js';

export interface S3StoreParts {
  readonly client: S3Client;
  readonly place: S3Location;
  readonly conditionalPut: ConditionalPut;
  readonly uploads: UploadSettings;
}

/** A store in a bucket of any S3-compatible server. Opened by `storeFactory`. */
export class S3Store implements Store {
  readonly specificationVersion = 'store-v1';
  readonly supports: StoreSupports;
  readonly location: string;
  readonly #parts: S3StoreParts;
  readonly #closing = new AbortController();

  constructor(parts: S3StoreParts) {
    this.#parts = parts;
    this.location = formatS3Location(parts.place);
    this.supports = Object.freeze({ conditionalPut: parts.conditionalPut === 'atomic', durable: true });
  }

  async put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    return this.#call(`Storing ${key}`, key, options.signal, async (signal) => {
      const { client, place, conditionalPut, uploads } = this.#parts;
      const absent = options.mode !== 'replace';
      // Saves the upload of an object that is there; what decides is the condition on the put itself.
      if (absent && (await this.#head(key, signal))) throw exists(key);
      const size = await upload(client, uploads, {
        bucket: place.bucket,
        key: place.prefix + key,
        body,
        ifAbsent: absent && conditionalPut === 'atomic',
        signal,
      });
      return (await this.#head(key, signal)) ?? { key, size, modifiedMs: Date.now() };
    });
  }

  async get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    if (range) checkRange(range);
    return this.#call(`Reading ${key}`, key, options.signal, async (signal) => {
      if (range?.length === 0) {
        if (!(await this.#head(key, signal))) throw missing(key);
        return new Uint8Array();
      }
      const { client, place } = this.#parts;
      const wanted = range && { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
      try {
        const command = new GetObjectCommand({ Bucket: place.bucket, Key: place.prefix + key, ...wanted });
        const answer = await client.send(command, { abortSignal: signal });
        return (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
      } catch (error) {
        // A range that starts at the end or behind it is no error for a store: there is nothing there.
        if ((error as { name?: string }).name === 'InvalidRange') return new Uint8Array();
        throw error;
      }
    });
  }

  async stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    return this.#call(`Looking up ${key}`, key, options.signal, (signal) => this.#head(key, signal));
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectStat> {
    const { client, place } = this.#parts;
    let token: string | undefined;
    do {
      const page = await this.#call(`Listing ${prefix}`, undefined, options.signal, (signal) =>
        client.send(
          new ListObjectsV2Command({
            Bucket: place.bucket,
            Prefix: place.prefix + prefix,
            ContinuationToken: token,
          }),
          { abortSignal: signal },
        ),
      );
      for (const each of page.Contents ?? []) {
        this.#checkOpen(options.signal);
        const key = each.Key?.slice(place.prefix.length) ?? '';
        yield { key, size: each.Size ?? 0, modifiedMs: each.LastModified?.getTime() ?? 0 };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    await this.#call(`Deleting ${key}`, key, options.signal, async (signal) => {
      const { client, place } = this.#parts;
      const command = new DeleteObjectCommand({ Bucket: place.bucket, Key: place.prefix + key });
      await client.send(command, { abortSignal: signal });
    });
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(closed(this.location));
    this.#parts.client.destroy();
  }

  async #head(key: string, signal: AbortSignal): Promise<ObjectStat | undefined> {
    const { client, place } = this.#parts;
    try {
      const command = new HeadObjectCommand({ Bucket: place.bucket, Key: place.prefix + key });
      const answer = await client.send(command, { abortSignal: signal });
      return { key, size: answer.ContentLength ?? 0, modifiedMs: answer.LastModified?.getTime() ?? 0 };
    } catch (error) {
      const failure = storeError(error, `Looking up ${key}`);
      if (failure.code === 'STORE_NOT_FOUND') return undefined;
      throw error;
    }
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    throwIfAborted(this.#closing.signal);
    throwIfAborted(signal);
  }

  async #call<T>(
    doing: string,
    key: string | undefined,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#checkOpen(signal);
    if (key !== undefined) checkKey(key);
    const either = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    try {
      return await work(either);
    } catch (error) {
      if (either.aborted) throw abortError(either);
      // A missing bucket is not a missing object: nothing will be found or stored there.
      if (!isFitdocError(error) && (error as { name?: string }).name === 'NoSuchBucket')
        throw noBucket(this.#parts.place);
      const failure = isFitdocError(error) ? error : storeError(error, doing);
      if (failure.code === 'STORE_NOT_FOUND' && key !== undefined) throw missing(key);
      if (failure.code === 'STORE_EXISTS' && key !== undefined) throw exists(key);
      throw failure;
    }
  }
}

export function noBucket(place: S3Location): FitdocError {
  return new FitdocError('STORE_NOT_FOUND', `There is no bucket ${place.bucket}.`, {
    hint: 'Make the bucket with the tools of your object store; fitdoc does not make buckets.',
  });
}

function missing(key: string): FitdocError {
  return new FitdocError('STORE_NOT_FOUND', `There is no object ${key}.`, { details: { key } });
}

function exists(key: string): FitdocError {
  return new FitdocError('STORE_EXISTS', `There is an object ${key} already.`, { details: { key } });
}

function closed(location: string): FitdocError {
  return new FitdocError('STORE_CLOSED', `The store ${location} is closed.`);
}
