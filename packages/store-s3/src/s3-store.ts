import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import {
  abortError,
  checkKey,
  checkRange,
  checkStartAfter,
  isFitdocError,
  throwIfAborted,
  type ByteRange,
  type CallOptions,
  type DeleteOptions,
  type DeleteFailure,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
  type StoreSupports,
} from '@fitdoc/interface';
import { Conditions } from './conditions.js';
import { deleteObjects } from './delete-many.js';
import { closed, exists, failureName, missing } from './errors.js';
import { getObject } from './get.js';
import { linkSignals } from './linked-signal.js';
import { formatS3Location } from './location.js';
import { RESERVATION_BYTES } from './marks.js';
import { Putter, type PutSettings } from './put.js';
import type { S3Requests } from './requests.js';
import { deleteObject } from './versions.js';

/** A store in a bucket of an S3-compatible server. Opened by `storeFactory`. */
export class S3Store implements Store {
  readonly specificationVersion = 'store-v1';
  readonly supports: StoreSupports;
  readonly location: string;
  readonly #requests: S3Requests;
  readonly #putter: Putter;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(requests: S3Requests, settings: PutSettings, notes: readonly string[] = []) {
    this.#requests = requests;
    this.location = formatS3Location(requests.place);
    // Required, it is there or a put fails; the weak way promises nothing, on whatever server.
    this.supports = Object.freeze({
      conditionalPut: settings.conditionalPut === 'require',
      durable: true,
      ...(notes.length > 0 && { notes: Object.freeze([...notes]) }),
    });
    const conditions = new Conditions(requests, this.#closing.signal);
    this.#putter = new Putter(requests, settings, conditions);
  }

  async put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    return this.#call(key, options.signal, async (signal) => {
      const size = await this.#putter.put(key, body, options.mode ?? 'absent', signal);
      // It is stored: what fails from here on must not make it look otherwise.
      const found = await this.#requests.head(key, signal).catch(() => undefined);
      return { key, size, modifiedMs: found?.modifiedMs ?? this.#requests.now() };
    });
  }

  async get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    if (range) checkRange(range);
    return this.#call(key, options.signal, (signal) => getObject(this.#requests, key, range, signal));
  }

  async stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    return this.#call(key, options.signal, (signal) => this.#stat(key, signal));
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectStat> {
    this.#checkOpen(options.signal);
    checkStartAfter(options.startAfter);
    // No key starts so; some servers choke on what is no text for XML.
    if (!/^[A-Za-z0-9._/-]{0,512}$/.test(prefix)) return;
    let token: string | undefined;
    do {
      const page = await this.#page(prefix, token, options);
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        this.#checkOpen(options.signal);
        const key = Key.slice(this.#requests.place.prefix.length);
        if (!isKey(key)) continue;
        if (Size === RESERVATION_BYTES && !(await this.stat(key, options))) continue;
        yield { key, size: Size, modifiedMs: LastModified?.getTime() ?? 0 };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    // Nobody may be allowed to ask whether there are versions: then the answer tells.
    const kept = this.supports.notes === undefined ? 'go-if-kept' : 'go';
    const versions = options.forGood === true ? kept : 'stay';
    await this.#call(key, options.signal, (signal) => deleteObject(this.#requests, key, versions, signal));
  }

  async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<DeleteFailure[]> {
    for (const key of keys) checkKey(key);
    return this.#call(undefined, options.signal, (signal) => deleteObjects(this.#requests, keys, signal));
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) this.#closing.abort(closed(this.location));
    // Calls in flight clean up behind themselves, and need the client for it.
    await Promise.allSettled(this.#underWay);
    this.#requests.client.destroy();
  }

  async #stat(key: string, signal: AbortSignal): Promise<ObjectStat | undefined> {
    const found = await this.#requests.head(key, signal);
    if (!found || found.reservedBy !== undefined) return undefined;
    return { key, size: found.size, modifiedMs: found.modifiedMs };
  }

  #page(
    prefix: string,
    token: string | undefined,
    { signal, startAfter }: ListOptions,
  ): Promise<ListObjectsV2CommandOutput> {
    const { Bucket, Key: Prefix } = this.#requests.at(prefix);
    const from = startAfter !== undefined && { StartAfter: this.#requests.at(startAfter).Key };
    const command = new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken: token, ...from });
    return this.#call(undefined, signal, (either) =>
      this.#requests.request(`Listing ${prefix}`, either, (send) =>
        this.#requests.client.send(command, send),
      ),
    );
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    throwIfAborted(this.#closing.signal);
    throwIfAborted(signal);
  }

  async #call<T>(
    key: string | undefined,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#checkOpen(signal);
    if (key !== undefined) checkKey(key);
    const either = linkSignals(this.#closing.signal, ...(signal ? [signal] : []));
    const working = work(either.signal);
    this.#underWay.add(working);
    try {
      return await working;
    } catch (error) {
      if (either.signal.aborted) throw abortError(either.signal);
      throw key === undefined ? error : aboutKey(error, key);
    } finally {
      either.unlink();
      this.#underWay.delete(working);
    }
  }
}

/** Says of the server's "not found" and "exists" which object they are about; passes on what a body threw. */
function aboutKey(error: unknown, key: string): unknown {
  if (!isFitdocError(error) || failureName(error) === '') return error;
  if (error.code === 'STORE_NOT_FOUND') return missing(key);
  if (error.code === 'STORE_EXISTS') return exists(key);
  return error;
}

function isKey(key: string): boolean {
  try {
    checkKey(key);
    return true;
  } catch {
    return false;
  }
}
