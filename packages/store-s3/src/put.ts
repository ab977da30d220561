import { randomUUID } from 'node:crypto';
import { abortError, bodyChunks, throwIfAborted, type StoreBody } from '@fitdoc/interface';
import { commitSignal } from './commit-signal.js';
import type { Conditions } from './conditions.js';
import type { S3Settings } from './config.js';
import { exists, refuseWeak } from './errors.js';
import { linkSignals } from './linked-signal.js';
import { formatS3Location } from './location.js';
import { MultipartUpload, type PartSource } from './multipart.js';
import { cutBytes, cutIntoParts } from './parts.js';
import { Placing, reservation } from './placing.js';
import type { S3Requests } from './requests.js';

export type PutSettings = Pick<S3Settings, 'partBytes' | 'parallelParts' | 'conditionalPut'>;

/** How a put makes sure that nothing is there: not at all, by a look before, or by the server's condition. */
type Guard = 'none' | 'look' | 'condition';

const LAST_LOOK_MS = 5_000;

/**
 * Stores objects. What fits one part is one PUT, and so are bytes in memory that the parts under way could hold;
 * more goes up in parts. One request makes the object appear, and
 * carries the condition: the PUT, or the completion of the parts. Where the server takes no condition on the
 * completion, a placeholder is put conditionally under the key first, which readers do not see.
 */
export class Putter {
  readonly #requests: S3Requests;
  readonly #settings: PutSettings;
  readonly #conditions: Conditions;
  readonly #placing: Placing;

  constructor(requests: S3Requests, settings: PutSettings, conditions: Conditions) {
    this.#requests = requests;
    this.#settings = settings;
    this.#conditions = conditions;
    this.#placing = new Placing(requests);
  }

  /** Gives the bytes stored. */
  async put(key: string, body: StoreBody, mode: 'absent' | 'replace', signal: AbortSignal): Promise<number> {
    const { partBytes, parallelParts } = this.#settings;
    const halt = new AbortController();
    const either = linkSignals(signal, halt.signal);
    const parts =
      body instanceof Uint8Array
        ? // What may be under way at a time may as well be one request.
          cutBytes(body, body.length <= partBytes * parallelParts ? body.length || 1 : partBytes)
        : cutIntoParts(bodyChunks(body, either.signal), partBytes);
    try {
      const guard = mode === 'replace' ? 'none' : await this.#guard(signal);
      const first = (await parts.next()).value;
      if (!first) return 0;
      if (first.isLast) return await this.#putWhole(key, first.bytes, guard, signal);
      const source = { parts, first, parallel: parallelParts };
      return await this.#putInParts(key, source, guard, either.signal, halt);
    } finally {
      either.unlink();
      await parts.return(undefined);
    }
  }

  async #guard(signal: AbortSignal): Promise<Guard> {
    if (await this.#conditions.onPut(signal)) return 'condition';
    if (this.#settings.conditionalPut === 'weak') return 'look';
    throw refuseWeak(formatS3Location(this.#requests.place));
  }

  async #putWhole(key: string, body: Uint8Array, guard: Guard, signal: AbortSignal): Promise<number> {
    if (guard === 'look') await this.#look(key, signal);
    const object = { body, storedBy: randomUUID() };
    await this.#commit(key, object.storedBy, signal, (committing) =>
      guard === 'condition'
        ? this.#placing.putIfAbsent(key, object, committing)
        : this.#placing.put(key, object, committing),
    );
    return body.length;
  }

  async #putInParts(
    key: string,
    source: PartSource,
    guard: Guard,
    signal: AbortSignal,
    halt: AbortController,
  ): Promise<number> {
    if (guard === 'look') await this.#look(key, signal);
    const storedBy = randomUUID();
    const upload = await MultipartUpload.start(this.#requests, key, storedBy, signal);
    const reserved = reservation(storedBy, upload.uploadId);
    const conditional = guard === 'condition' && (await this.#conditions.onCompletion(signal));
    const reserves = guard === 'condition' && !conditional;
    try {
      await upload.sendAll(source, signal, halt);
      await this.#commit(key, storedBy, signal, async (committing) => {
        if (reserves) await this.#placing.putIfAbsent(key, reserved, committing);
        await upload.complete(conditional, committing);
      });
      return upload.size;
    } catch (error) {
      await upload.abandon();
      const cleaning = AbortSignal.timeout(LAST_LOOK_MS);
      if (reserves) await this.#placing.removeReservation(key, reserved, cleaning).catch(() => undefined);
      throw error;
    }
  }

  async #look(key: string, signal: AbortSignal): Promise<void> {
    const found = await this.#requests.head(key, signal);
    if (found && found.reservedBy === undefined) throw exists(key);
  }

  /**
   * Does what makes the object appear. When that fails the object may be there all the same, because an answer
   * was lost: then it carries our mark, and the put has succeeded.
   */
  async #commit(
    key: string,
    storedBy: string,
    cancelled: AbortSignal,
    act: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    throwIfAborted(cancelled);
    const committing = commitSignal(cancelled);
    try {
      await act(committing.signal);
    } catch (error) {
      const look = this.#placing.isThere(key, { storedBy }, AbortSignal.timeout(LAST_LOOK_MS));
      if (await look.catch(() => false)) return;
      throw cancelled.aborted ? abortError(cancelled) : error;
    } finally {
      committing.end();
    }
  }
}
