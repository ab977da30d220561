import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { FitdocError, isFitdocError, throwIfAborted } from '@fitdoc/interface';
import { exists, failureName } from './errors.js';
import { RESERVED_BY, STORED_BY, reservationBody } from './marks.js';
import { abandonUpload } from './multipart.js';
import type { FoundObject, S3Requests } from './requests.js';

/** What is to stand under a key, and the marks by which it is known again. */
export interface Placed {
  readonly body: Uint8Array;
  readonly storedBy: string;
  readonly reservedBy?: string;
}

/** An upload is completed within minutes of its reservation; one this old has no owner any more. */
const STALE_MS = 60 * 60_000;
/** How long to wait for another's completion, after which it is known who has won. */
const WAIT_MS = 15_000;

export function reservation(storedBy: string, uploadId: string): Placed {
  return { body: reservationBody(storedBy, uploadId), storedBy, reservedBy: uploadId };
}

/** Puts small objects in one request each, conditionally, and finds out what became of it. */
export class Placing {
  readonly #requests: S3Requests;

  constructor(requests: S3Requests) {
    this.#requests = requests;
  }

  /** Puts whatever is there already. */
  async put(key: string, object: Placed, signal: AbortSignal): Promise<void> {
    await this.#send(key, object, {}, signal);
  }

  /**
   * Puts where nothing is: STORE_EXISTS. A reservation of another's upload is waited for, and one whose owner is
   * gone is replaced.
   */
  async putIfAbsent(key: string, object: Placed, signal: AbortSignal): Promise<void> {
    for (const deadline = performance.now() + WAIT_MS; ;) {
      const found = await this.#try(key, object, { IfNoneMatch: '*' }, signal);
      if (found === 'placed') return;
      if (found && found.reservedBy === undefined) throw exists(key);
      if (found && this.#isStale(found) && (await this.#takeOver(key, object, found, signal))) return;
      if (performance.now() > deadline) throw busy(key);
      await sleep(50 + Math.random() * 250, undefined, { signal }).catch(() => undefined);
      throwIfAborted(signal);
    }
  }

  /** Whether what stands under the key is this very object. */
  async isThere(key: string, object: Omit<Placed, 'body'>, signal: AbortSignal): Promise<boolean> {
    const found = await this.#requests.head(key, signal);
    return found !== undefined && isSame(found, object);
  }

  async removeReservation(key: string, object: Placed, signal: AbortSignal): Promise<void> {
    if (!(await this.isThere(key, object, signal))) return;
    const command = new DeleteObjectCommand(this.#requests.at(key));
    await this.#requests.request(`Cleaning up after ${key}`, signal, (options) =>
      this.#requests.client.send(command, options),
    );
  }

  /**
   * Puts on a condition. When the server says that it does not hold, what is there decides: the first try may
   * have been done and only its answer lost, and then the retry met our own object.
   */
  async #try(
    key: string,
    object: Placed,
    condition: Partial<PutObjectCommandInput>,
    signal: AbortSignal,
  ): Promise<'placed' | FoundObject | undefined> {
    try {
      await this.#send(key, object, condition, signal);
      return 'placed';
    } catch (error) {
      const refused = isFitdocError(error, 'STORE_EXISTS') || isFitdocError(error, 'STORE_NOT_FOUND');
      if (!refused || failureName(error) === '') throw error;
    }
    const found = await this.#requests.head(key, signal);
    return found && isSame(found, object) ? 'placed' : found;
  }

  #isStale(found: FoundObject): boolean {
    return this.#requests.now() - found.modifiedMs > STALE_MS;
  }

  /** The upload goes first, so that its owner cannot complete it over ours, should it wake up. */
  async #takeOver(key: string, object: Placed, stale: FoundObject, signal: AbortSignal): Promise<boolean> {
    await abandonUpload(this.#requests, key, stale.reservedBy as string);
    const bare = stale.etag.replaceAll('"', '');
    // Ceph compares the header as it is with an ETag without quotes; others want them, or take both.
    for (const IfMatch of [bare, `"${bare}"`]) {
      if ((await this.#try(key, object, { IfMatch }, signal)) === 'placed') return true;
    }
    return false;
  }

  async #send(
    key: string,
    { body, storedBy, reservedBy }: Placed,
    condition: Partial<PutObjectCommandInput>,
    signal: AbortSignal,
  ): Promise<void> {
    const marks = { [STORED_BY]: storedBy, ...(reservedBy !== undefined && { [RESERVED_BY]: reservedBy }) };
    const input = { ...this.#requests.at(key), ...condition, Body: body, Metadata: marks };
    await this.#requests.request(`Storing ${key}`, signal, (options) =>
      this.#requests.client.send(new PutObjectCommand(input), options),
    );
  }
}

function isSame(found: FoundObject, { storedBy, reservedBy }: Omit<Placed, 'body'>): boolean {
  return found.storedBy === storedBy && found.reservedBy === reservedBy;
}

function busy(key: string): FitdocError {
  return new FitdocError('STORE_UNAVAILABLE', `Another process is about to store ${key}.`, {
    retryable: true,
    hint: 'Try again. A reservation whose owner is gone is given up after an hour.',
    details: { key },
  });
}
