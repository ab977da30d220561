import { join } from 'node:path';
import {
  checkKey,
  checkRange,
  checkStartAfter,
  FitdocError,
  throwIfAborted,
  withLinkedSignal,
  type ByteRange,
  type CallOptions,
  type DeleteFailure,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
  type StoreSupports,
} from '@fitdoc/interface';
import { ALL_ABILITIES, type Abilities, type Naming } from './host/abilities.js';
import { Directories } from './put/directories.js';
import { isMissing, storeError } from './failures.js';
import { nodeFileSystem, type FileStat, type FileSystem } from './host/file-system.js';
import { Incoming } from './put/incoming.js';
import { Namer } from './put/naming.js';
import { namesOfKey } from './paths.js';
import { Place } from './put/place.js';
import { unlinkAll } from './unlink-all.js';
import { thisProcessToken, type ProcessToken } from './host/process-token.js';
import { readFile } from './read-file.js';
import { walk } from './walk.js';
import { BodyFailure, writeBody } from './put/write-body.js';

export interface FsStoreOptions {
  /** The calls under the store. Default: the host's file system. */
  readonly fileSystem?: FileSystem;
  /** Whose the temporary files are. Default: this process. */
  readonly owner?: ProcessToken;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
  /** What the file system can do. Default: everything that the store needs. */
  readonly abilities?: Abilities;
  /** For `supports.notes`. */
  readonly notes?: readonly string[];
}

const PARALLEL_STATS = 32;

/**
 * A store in a directory. An object is written to a temporary file, synced, and then given its name by link(2),
 * which fails when the name is taken, or by rename(2) to replace; then the directory is synced.
 */
export class FsStore implements Store {
  readonly specificationVersion = 'store-v1';
  readonly supports: StoreSupports;
  readonly location: string;
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #incoming: Incoming;
  readonly #directories: Directories;
  readonly #place: Place;
  readonly #namer: Namer;
  readonly #naming: Naming;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #calls = new Set<AbortController>();
  #closed = false;

  /** `root` is an absolute path of a directory that is there. */
  constructor(root: string, options: FsStoreOptions = {}) {
    this.location = `fs:${root}`;
    this.#root = root;
    this.#files = options.fileSystem ?? nodeFileSystem;
    const owner = options.owner ?? thisProcessToken();
    this.#incoming = new Incoming(root, this.#files, owner, options.now ?? Date.now);
    const abilities = options.abilities ?? ALL_ABILITIES;
    this.#directories = new Directories(root, this.#files);
    this.#place = new Place(this.location, this.#files, () => {
      this.#directories.forget();
      this.#incoming.forget();
    });
    this.#namer = new Namer({
      files: this.#files,
      directories: this.#directories,
      place: this.#place,
      naming: abilities.naming,
    });
    this.#naming = abilities.naming;
    this.supports = Object.freeze({
      conditionalPut: abilities.naming !== 'look-then-rename',
      durable: abilities.syncsDirectories,
      ...(options.notes && options.notes.length > 0 && { notes: Object.freeze([...options.notes]) }),
    });
  }

  put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    return this.#call(`Storing ${key}`, options.signal, (signal) => {
      checkKey(key);
      return this.#put(key, body, options.mode === 'replace', signal);
    });
  }

  get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#call(`Reading ${key}`, options.signal, async (signal) => {
      const path = this.#pathOf(key);
      if (range) checkRange(range);
      try {
        return await readFile(this.#files, path, range, signal);
      } catch (error) {
        if (!isMissing(error)) throw error;
        await this.#place.check();
        throw new FitdocError('STORE_NOT_FOUND', `There is no object ${key} in ${this.location}.`, {
          details: { key },
        });
      }
    });
  }

  stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    return this.#call(`Looking for ${key}`, options.signal, async () => {
      const found = await this.#stat(key, this.#pathOf(key));
      if (!found) await this.#place.check();
      return found;
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectStat> {
    checkStartAfter(options.startAfter);
    const found = walk(this.#files, this.#root, { prefix, after: options.startAfter ?? '' });
    for (;;) {
      const batch = await this.#call('Listing', options.signal, async () => {
        // What is not there is nothing to list: nobody may take that for an empty repository.
        await this.#place.check();
        const files: { key: string; path: string }[] = [];
        while (files.length < PARALLEL_STATS) {
          const step = await found.next();
          if (step.done) break;
          files.push(step.value);
        }
        return Promise.all(files.map(({ key, path }) => this.#stat(key, path)));
      });
      for (const stat of batch) {
        this.#check(options.signal);
        // Deleted since its name was read.
        if (stat) yield stat;
      }
      if (batch.length < PARALLEL_STATS) return;
    }
  }

  delete(key: string, options: CallOptions = {}): Promise<void> {
    return this.#call(`Deleting ${key}`, options.signal, async () => {
      const path = this.#pathOf(key);
      await this.#place.check();
      await this.#files.unlink(path).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
      // Also when it was gone: who deleted it may not have come to this, and we say that it is gone for good.
      await this.#files.syncDirectory(join(path, '..')).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
    });
  }

  /** In the order given; each directory is synced once, at the end. */
  deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<DeleteFailure[]> {
    return this.#call(`Deleting ${keys.length} objects`, options.signal, async (signal) => {
      const paths = keys.map((key) => ({ key, path: this.#pathOf(key) }));
      await this.#place.check();
      return unlinkAll(this.#files, paths, signal, (error, key) =>
        storeError(error, `Deleting ${key} in ${this.location}`),
      );
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const call of this.#calls) call.abort(this.#closedError());
    await Promise.allSettled(this.#inFlight);
    await this.#incoming.leave();
  }

  anchor(key: string, isOurs: (bytes: Uint8Array) => boolean): void {
    this.#place.anchor(this.#pathOf(key), isOurs);
  }

  async #put(key: string, body: StoreBody, replace: boolean, signal: AbortSignal): Promise<ObjectStat> {
    const path = this.#pathOf(key);
    await this.#place.check();
    if (!replace && (await this.#stat(key, path))) throw this.#exists(key);
    const { path: temporary, file } = await this.#incoming.create();
    let stat: FileStat;
    try {
      try {
        await writeBody(file, body, signal);
        await file.sync();
        stat = await file.stat();
      } finally {
        await file.close();
      }
      throwIfAborted(signal);
      const named = await this.#namer.name({ path: temporary, stat }, namesOfKey(key), replace);
      if (!named) throw this.#exists(key);
    } catch (error) {
      await this.#files.unlink(temporary).catch(() => undefined);
      throw error;
    }
    // The object stands; a second name that cannot be removed now is left to the next process that cleans up.
    if (!replace && this.#naming === 'link') await this.#files.unlink(temporary).catch(() => undefined);
    return { key, size: stat.size, modifiedMs: stat.modifiedMs };
  }

  async #stat(key: string, path: string): Promise<ObjectStat | undefined> {
    try {
      const { size, modifiedMs } = await this.#files.stat(path);
      return { key, size, modifiedMs };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #pathOf(key: string): string {
    checkKey(key);
    return join(this.#root, ...namesOfKey(key));
  }

  #exists(key: string): FitdocError {
    return new FitdocError('STORE_EXISTS', `There is an object ${key} in ${this.location} already.`, {
      details: { key },
    });
  }

  #closedError(): FitdocError {
    return new FitdocError('STORE_CLOSED', `The store ${this.location} is closed.`);
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#closed) throw this.#closedError();
    throwIfAborted(signal);
  }

  /** Runs a call: counted, cancelled by its own signal and by `close`, its errors the port's. */
  async #call<T>(
    what: string,
    signal: AbortSignal | undefined,
    body: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#check(signal);
    const call = new AbortController();
    this.#calls.add(call);
    // Within a chain of promises, so that what `body` throws at once rejects like the rest.
    const running = Promise.resolve().then(() => withLinkedSignal([call.signal, signal], body));
    this.#inFlight.add(running);
    try {
      return await running;
    } catch (error) {
      if (error instanceof BodyFailure) throw error.error;
      throw storeError(error, `${what} in ${this.location}`);
    } finally {
      this.#inFlight.delete(running);
      this.#calls.delete(call);
    }
  }
}
