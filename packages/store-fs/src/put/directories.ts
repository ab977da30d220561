import { join } from 'node:path';
import { errnoOf } from '../failures.js';
import type { FileSystem } from '../host/file-system.js';

/**
 * Makes the directories of objects, durably. A directory that is there already counts only when this process
 * has synced its parent: another may have made it a moment ago and not have come to that.
 */
export class Directories {
  readonly #ready = new Map<string, Promise<void>>();

  constructor(
    private readonly root: string,
    private readonly files: FileSystem,
  ) {}

  /** The directory of these names below the root, which will survive a crash from now on. */
  async ensure(names: readonly string[]): Promise<string> {
    let path = this.root;
    for (const name of names) {
      const parent = path;
      path = join(path, name);
      let making = this.#ready.get(path);
      if (!making) {
        making = this.#make(path, parent);
        this.#ready.set(path, making);
        making.catch(() => this.#ready.delete(path));
      }
      await making;
    }
    return path;
  }

  /** Somebody removed directories: ask anew. */
  forget(): void {
    this.#ready.clear();
  }

  async #make(path: string, parent: string): Promise<void> {
    await this.files.makeDirectory(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    await this.files.syncDirectory(parent);
  }
}
