import { randomBytes } from 'node:crypto';
import { lstat, open, realpath, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { checkOutputPlace, FitdocError, type CallOptions } from '@fitdoc/interface';

/** How a file is written. */
export interface OutputOptions extends CallOptions {
  /** Whether a file that is there may be replaced. Default false: ARGUMENT_INVALID. */
  readonly replace?: boolean;
}

/**
 * Writes a file that is there whole or not at all, and its owner's alone: under a temporary name beside it, synced,
 * then renamed. `write` gets the open file, and where it is. Errors: ARGUMENT_INVALID for what is no file, or one that may not be replaced, STORE_FULL on a full disk, STORE_DENIED, RESTORE_FAILED; the temporary file is removed.
 */
export async function writeWhole(
  place: string,
  { replace }: OutputOptions,
  write: (handle: FileHandle, temporary: string) => Promise<void>,
): Promise<void> {
  // Behind a symbolic link: the link stays, and the file appears where it leads to.
  const file = await realpath(place).catch(() => place);
  checkOutputPlace(place, await lstat(file).catch(() => undefined), replace);
  const temporary = `${file}.partial-${process.pid}-${randomBytes(4).toString('hex')}`;
  // All of a guest's secrets are in it.
  const handle = await open(temporary, 'wx', 0o600).catch(fail(file));
  try {
    await write(handle, temporary);
    await handle.sync();
    await handle.close();
    await rename(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    return fail(file)(error);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** For `catch`: what the system says of a file that cannot be written, as an error of ours. */
export function fail(file: string): (error: unknown) => never {
  return (error) => {
    const errno = (error as NodeJS.ErrnoException).code;
    if (errno === 'ENOSPC' || errno === 'EDQUOT') {
      throw new FitdocError('STORE_FULL', `There is no room for ${file}.`, {
        cause: error,
        hint: 'Free some space.',
      });
    }
    if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS') {
      throw new FitdocError('STORE_DENIED', `${file} cannot be written.`, { cause: error });
    }
    if (errno === 'ENOENT') {
      throw new FitdocError('ARGUMENT_INVALID', `The folder of ${file} does not exist.`, { cause: error });
    }
    throw error;
  };
}

/** Writes all of `bytes` at `position`; a single write may take less. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Bytes after which the disk is set to work, so that it does not start when all has been written. */
const WRITE_BEHIND_BYTES = 64 << 20;

/** Writes to a file and has the disk take what was written meanwhile. `finish` tells of errors there were. */
export class WriteBehind {
  #sinceSync = 0;
  #syncing: Promise<void> | undefined;
  #failure: unknown;

  constructor(private readonly handle: FileHandle) {}

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await writeAt(this.handle, bytes, position);
    this.#sinceSync += bytes.length;
    if (this.#sinceSync < WRITE_BEHIND_BYTES || this.#syncing) return;
    this.#sinceSync = 0;
    this.#syncing = this.handle
      .datasync()
      .catch((error: unknown) => (this.#failure ??= error) as undefined)
      .finally(() => (this.#syncing = undefined));
  }

  /** Waits for the disk, as far as it was set to work. A failure is told by the system only once: here. */
  async finish(): Promise<void> {
    await this.#syncing;
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- passed on as it came
    if (this.#failure !== undefined) throw this.#failure;
  }
}
