import { join } from 'node:path';
import type { Naming } from '../host/abilities.js';
import type { Directories } from './directories.js';
import { errnoOf, isMissing } from '../failures.js';
import type { FileStat, FileSystem } from '../host/file-system.js';
import type { Place } from './place.js';

/** A finished file that is to get its name. */
export interface Finished {
  readonly path: string;
  readonly stat: FileStat;
}

export interface NamingContext {
  readonly files: FileSystem;
  readonly directories: Directories;
  readonly place: Place;
  readonly naming: Naming;
}

/** Gives finished files their names, durably. */
export class Namer {
  /** Names that are being given by this process where the file system lacks a way to refuse a second. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(private readonly context: NamingContext) {}

  /** Whether the name was given: false when it was taken, for good, and `replace` is not asked for. */
  async name(file: Finished, names: readonly string[], replace: boolean): Promise<boolean> {
    const { directories, place } = this.context;
    for (let attempt = 0; ; attempt++) {
      // Before directories are made: where nothing is mounted they would be made on another disk.
      await place.check();
      const directory = await directories.ensure(names.slice(0, -1));
      const path = join(directory, names.at(-1)!);
      try {
        await this.#give(file, path, replace);
      } catch (error) {
        if (!(await this.#hasHappened(file, path))) {
          // A directory that we made is gone: somebody tidied up.
          if (isMissing(error) && attempt === 0) {
            directories.forget();
            continue;
          }
          if (errnoOf(error) !== 'EEXIST' || replace) throw error;
          // The winner may not have synced yet; what we say is there must stay there.
          await this.context.files.syncDirectory(directory);
          return false;
        }
      }
      await this.#syncNamed(directory, path, replace);
      return true;
    }
  }

  /** A server of files may do what it was asked, lose its answer, and refuse the second try: then it stands. */
  async #hasHappened({ stat }: Finished, path: string): Promise<boolean> {
    if (stat.identity === undefined) return false;
    const there = await this.context.files.stat(path).catch(() => undefined);
    return there?.identity === stat.identity;
  }

  async #give({ path: from }: Finished, to: string, replace: boolean): Promise<void> {
    const { files, naming } = this.context;
    if (replace) return files.rename(from, to);
    if (naming === 'link') return files.link(from, to);
    if (naming === 'rename-if-absent') return files.renameIfAbsent?.(from, to);
    return this.#lookThenRename(from, to);
  }

  /** Exclusive within this process at least. */
  async #lookThenRename(from: string, to: string): Promise<void> {
    const { files } = this.context;
    const before = this.#busy.get(to) ?? Promise.resolve();
    const renaming = before
      .catch(() => undefined)
      .then(async () => {
        const taken = await files.stat(to).catch((error: unknown) => {
          if (!isMissing(error)) throw error;
        });
        if (taken) throw Object.assign(new Error(`EEXIST: '${to}'`), { code: 'EEXIST' });
        await files.rename(from, to);
      });
    this.#busy.set(to, renaming);
    try {
      await renaming;
    } finally {
      if (this.#busy.get(to) === renaming) this.#busy.delete(to);
    }
  }

  async #syncNamed(directory: string, path: string, replace: boolean): Promise<void> {
    try {
      await this.context.files.syncDirectory(directory);
    } catch (error) {
      if (!replace) await this.context.files.unlink(path).catch(() => undefined);
      throw error;
    }
  }
}
