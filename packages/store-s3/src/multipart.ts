import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { FitdocError } from '@fitdoc/interface';
import { STORED_BY } from './marks.js';
import { MOST_PARTS, type Part } from './parts.js';
import type { S3Requests } from './requests.js';

const CLEAN_UP_MS = 10_000;

export interface PartSource {
  readonly parts: AsyncIterator<Part, undefined>;
  /** The one that was taken from `parts` already. */
  readonly first: Part;
  readonly parallel: number;
}

/** A multipart upload: parts go to the server, several at a time; `complete` makes the object of them. */
export class MultipartUpload {
  readonly uploadId: string;
  /** Bytes taken so far. */
  size = 0;
  readonly #requests: S3Requests;
  readonly #key: string;
  readonly #etags: string[] = [];

  private constructor(requests: S3Requests, key: string, uploadId: string) {
    this.#requests = requests;
    this.#key = key;
    this.uploadId = uploadId;
  }

  static async start(
    requests: S3Requests,
    key: string,
    storedBy: string,
    signal: AbortSignal,
  ): Promise<MultipartUpload> {
    const target = { ...requests.at(key), Metadata: { [STORED_BY]: storedBy } };
    const answer = await requests.request(`Storing ${key}`, signal, (options) =>
      requests.client.send(new CreateMultipartUploadCommand(target), options),
    );
    return new MultipartUpload(requests, key, answer.UploadId ?? '');
  }

  /**
   * Sends all parts, `parallel` at a time; asks for the next only when there is room for it. The first failure,
   * of a part or of the body, aborts `halt`, which the body is to heed too.
   */
  async sendAll(
    { parts, first, parallel }: PartSource,
    signal: AbortSignal,
    halt: AbortController,
  ): Promise<void> {
    const failures: unknown[] = [];
    const fail = (error: unknown): void => {
      failures.push(error);
      halt.abort(error);
    };
    const underWay = new Set<Promise<void>>();
    let part: Part | undefined = first;
    for (let number = 1; part && failures.length === 0; number++) {
      const sending: Promise<void> = this.#sendPart(part, number, signal)
        .catch(fail)
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
      if (underWay.size >= parallel) await Promise.race(underWay);
      part =
        part.isLast || failures.length > 0 ? undefined : await nextPart(parts).catch(fail as () => undefined);
    }
    await Promise.all(underWay);
    if (failures.length > 0) throw failures[0];
  }

  async #sendPart(part: Part, number: number, signal: AbortSignal): Promise<void> {
    if (number > MOST_PARTS) {
      throw new FitdocError('STORE_FULL', `The object ${this.#key} has more than ${MOST_PARTS} parts.`, {
        hint: 'Set partBytes to a larger value.',
      });
    }
    try {
      const command = { ...this.#requests.at(this.#key), UploadId: this.uploadId, PartNumber: number };
      const answer = await this.#requests.request(`Storing ${this.#key}`, signal, (options) =>
        this.#requests.client.send(new UploadPartCommand({ ...command, Body: part.bytes }), options),
      );
      this.#etags[number - 1] = answer.ETag ?? '';
      this.size += part.bytes.length;
    } finally {
      part.release();
    }
  }

  /** Makes the object appear. With `ifAbsent` the server is asked to refuse when there is one. */
  async complete(ifAbsent: boolean, signal: AbortSignal): Promise<void> {
    const command = new CompleteMultipartUploadCommand({
      ...this.#requests.at(this.#key),
      UploadId: this.uploadId,
      MultipartUpload: { Parts: this.#etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 })) },
      ...(ifAbsent && { IfNoneMatch: '*' }),
    });
    await this.#requests.request(`Completing ${this.#key}`, signal, (options) =>
      this.#requests.client.send(command, options),
    );
  }

  /** Removes the parts. What is left when that fails too is for the bucket's lifecycle rule. */
  async abandon(): Promise<void> {
    await abandonUpload(this.#requests, this.#key, this.uploadId);
  }
}

async function nextPart(parts: PartSource['parts']): Promise<Part | undefined> {
  return (await parts.next()).value;
}

export async function abandonUpload(requests: S3Requests, key: string, uploadId: string): Promise<void> {
  const command = new AbortMultipartUploadCommand({ ...requests.at(key), UploadId: uploadId });
  // The caller's signal is of no use here: it may be what ended the upload.
  const signal = AbortSignal.timeout(CLEAN_UP_MS);
  await requests
    .request(`Cleaning up after ${key}`, signal, (options) => requests.client.send(command, options))
    .catch(() => undefined);
}
