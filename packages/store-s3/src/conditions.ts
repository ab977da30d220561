import { randomUUID } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { isFitdocError, unlessAborted, type FitdocError } from '@fitdoc/interface';
import { failureName } from './errors.js';
import { HIDDEN } from './marks.js';
import type { S3Requests } from './requests.js';
import { deleteObject } from './versions.js';

/**
 * Finds out which conditional writes the server honours. Servers that do not know a header ignore it, so
 * nothing but a try tells. Each question is asked once, when a put first wants to know: who only reads needs no
 * right to write.
 */
export class Conditions {
  readonly #requests: S3Requests;
  readonly #closing: AbortSignal;
  #onPut: Promise<boolean> | undefined;
  #onCompletion: Promise<boolean> | undefined;

  constructor(requests: S3Requests, closing: AbortSignal) {
    this.#requests = requests;
    this.#closing = closing;
  }

  /** Whether `If-None-Match: *` works on PUT. */
  async onPut(signal: AbortSignal): Promise<boolean> {
    this.#onPut ??= this.#probePut().catch((error: unknown) => {
      this.#onPut = undefined;
      throw error;
    });
    return unlessAborted(this.#onPut, signal);
  }

  /** Whether `If-None-Match: *` works where a multipart upload is completed. */
  async onCompletion(signal: AbortSignal): Promise<boolean> {
    this.#onCompletion ??= this.#probeCompletion().catch((error: unknown) => {
      this.#onCompletion = undefined;
      throw error;
    });
    return unlessAborted(this.#onCompletion, signal);
  }

  async #probePut(): Promise<boolean> {
    const key = probeKey();
    try {
      // The first put only makes sure that there is something: a retry of it may be refused, rightly.
      await this.#put(key, false);
      return await isRefused(this.#put(key, true));
    } finally {
      await this.#remove(key);
    }
  }

  async #probeCompletion(): Promise<boolean> {
    const { client } = this.#requests;
    const key = probeKey();
    const target = this.#requests.at(key);
    await this.#put(key, false);
    const { UploadId } = await this.#send((options) =>
      client.send(new CreateMultipartUploadCommand(target), options),
    );
    const upload = { ...target, UploadId };
    try {
      const part = { ...upload, PartNumber: 1, Body: new Uint8Array(1) };
      const { ETag } = await this.#send((options) => client.send(new UploadPartCommand(part), options));
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
      return await isRefused(
        this.#send((options) =>
          client.send(
            new CompleteMultipartUploadCommand({ ...upload, MultipartUpload, IfNoneMatch: '*' }),
            options,
          ),
        ),
      );
    } finally {
      await this.#send((options) => client.send(new AbortMultipartUploadCommand(upload), options)).catch(
        () => undefined,
      );
      await this.#remove(key);
    }
  }

  async #put(key: string, ifAbsent: boolean): Promise<void> {
    const put = { ...this.#requests.at(key), Body: 'probe', ...(ifAbsent && { IfNoneMatch: '*' }) };
    await this.#send((options) => this.#requests.client.send(new PutObjectCommand(put), options));
  }

  async #remove(key: string): Promise<void> {
    // One left behind is hidden, and harmless.
    await deleteObject(this.#requests, key, 'go-if-kept', this.#closing).catch(() => undefined);
  }

  #send<T>(send: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> {
    return this.#requests.request('Trying what the server can do', this.#closing, send);
  }
}

function probeKey(): string {
  return `${HIDDEN}/probe-${randomUUID()}`;
}

/** True when a write to what exists is refused as such; false when it is done, or the header is refused. */
async function isRefused(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return false;
  } catch (error) {
    if (isFitdocError(error, 'STORE_EXISTS')) return true;
    if (isUnknownHeader(error as FitdocError)) return false;
    throw error;
  }
}

function isUnknownHeader(error: FitdocError): boolean {
  return error.details['status'] === 501 || failureName(error) === 'NotImplemented';
}
