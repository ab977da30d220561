import { join } from 'node:path';
import {
  checkKey,
  checkRange,
  FitdocError,
  throwIfAborted,
  type ByteRange,
  type CallOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
  type StoreSupports,
} from '@fitdoc/interface';
import { Directories } from './directories.js';
import { errnoOf, isMissing, storeError } from './failures.js';
import { nodeFileSystem, type FileStat, type FileSystem } from './file-system.js';
import { Incoming } from './incoming.js';
import { namesOfKey } from './paths.js';
import { thisProcessToken, type ProcessToken } from './process-token.js';
import { readFile } from './read-file.js';
import { walk } from './walk.js';
import { BodyFailure, writeBody } from './write-body.js';

export interface FsStoreOptions {
  /** The calls under the store. Default: the host's file system. */
  readonly fileSystem?: FileSystem;
  /** Whose the temporary files are. Default: this process. */
  readonly owner?: ProcessToken;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
}

const SUPPORTS: StoreSupports = Object.freeze({ conditionalPut: true, durable: true });
const PARALLEL_STATS = 32;

/**
 * A store in a directory. An object is written to a temporary file, synced, and then given its name by link(2),
 * which fails when the name is taken, or by rename(2) to replace; then the directory is synced.
 */
export class FsStore implements Store {
  readonly specificationVersion = 'store-v1';
  readonly supports = SUPPORTS;
  readonly location: string;
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #incoming: Incoming;
  readonly #directories: Directories;
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
    this.#directories = new Directories(root, this.#files);
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
        throw new FitdocError('STORE_NOT_FOUND', `There is no object ${key} in ${this.location}.`, {
          details: { key },
        });
      }
    });
  }

  stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    return this.#call(`Looking for ${key}`, options.signal, () => this.#stat(key, this.#pathOf(key)));
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectStat> {
    const found = walk(this.#files, this.#root, prefix);
    for (;;) {
      const batch = await this.#call('Listing', options.signal, async () => {
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
      await this.#files.unlink(path).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
      // Also when it was gone: who deleted it may not have come to this, and we say that it is gone for good.
      await this.#files.syncDirectory(join(path, '..')).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const call of this.#calls) call.abort(this.#closedError());
    await Promise.allSettled(this.#inFlight);
  }

  async #put(key: string, body: StoreBody, replace: boolean, signal: AbortSignal): Promise<ObjectStat> {
    const path = this.#pathOf(key);
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
      await this.#name(key, temporary, replace);
    } catch (error) {
      await this.#files.unlink(temporary).catch(() => undefined);
      throw error;
    }
    // The object stands; a second name that cannot be removed now is left to the next process that cleans up.
    if (!replace) await this.#files.unlink(temporary).catch(() => undefined);
    return { key, size: stat.size, modifiedMs: stat.modifiedMs };
  }

  /** Gives the file its name, for good. */
  async #name(key: string, temporary: string, replace: boolean): Promise<void> {
    const names = namesOfKey(key);
    const last = names.at(-1)!;
    for (let attempt = 0; ; attempt++) {
      const directory = await this.#directories.ensure(names.slice(0, -1));
      const path = join(directory, last);
      try {
        if (replace) await this.#files.rename(temporary, path);
        else await this.#files.link(temporary, path);
      } catch (error) {
        // A directory that we made is gone: somebody tidied up.
        if (isMissing(error) && attempt === 0) {
          this.#directories.forget();
          continue;
        }
        if (errnoOf(error) !== 'EEXIST') throw error;
        // The winner may not have synced yet; what we say is there must stay there.
        await this.#files.syncDirectory(directory);
        throw this.#exists(key);
      }
      return this.#syncNamed(directory, path, replace);
    }
  }

  async #syncNamed(directory: string, path: string, replace: boolean): Promise<void> {
    try {
      await this.#files.syncDirectory(directory);
    } catch (error) {
      if (!replace) await this.#files.unlink(path).catch(() => undefined);
      throw error;
    }
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
    const either = signal ? AbortSignal.any([call.signal, signal]) : call.signal;
    this.#calls.add(call);
    // Within a chain of promises, so that what `body` throws at once rejects like the rest.
    const running = Promise.resolve(either).then(body);
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
