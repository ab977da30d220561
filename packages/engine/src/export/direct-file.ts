import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { writeAt, WriteBehind } from './partial-file.js';

/**
 * A second way into an open file, past the system's page cache where its file system has one: a large file that
 * is written once then takes no memory and does not wait for the cache to be written back. Elsewhere the disk is set to
 * work while more is written.
 */
export class DirectFile {
  readonly #behind: WriteBehind;
  #direct: FileHandle | undefined;
  readonly #opened: FileHandle | undefined;

  private constructor(handle: FileHandle, direct: FileHandle | undefined) {
    this.#behind = new WriteBehind(handle);
    this.#direct = direct;
    this.#opened = direct;
  }

  static async of(handle: FileHandle): Promise<DirectFile> {
    const flags = constants.O_WRONLY | constants.O_DIRECT;
    const direct = await open(`/proc/self/fd/${handle.fd}`, flags).catch(() => undefined);
    return new DirectFile(handle, direct);
  }

  /** Writes all of `bytes`: whole pages in memory that begins at a page. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    if (this.#direct !== undefined && (await this.#written(this.#direct, bytes, position))) return;
    await this.#behind.write(bytes, position);
  }

  /** False: not in this way. It is what a file system says whose blocks are larger than a page, or that takes the flag and no such writes. */
  async #written(direct: FileHandle, bytes: Uint8Array, position: number): Promise<boolean> {
    try {
      await writeAt(direct, bytes, position);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      this.#direct = undefined;
      return false;
    }
  }

  /** The file itself stays open. Tells of what the disk did not take. */
  async close(): Promise<void> {
    await this.#opened?.close();
    await this.#behind.finish();
  }
}
