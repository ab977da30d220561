import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, statfsSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FitdocError } from '@fitdoc/interface';

/** open(2): a file that never has a name, so that nothing of it is left whatever ends the process. */
const O_TMPFILE = 0o20_000_000 | constants.O_DIRECTORY;
/** statfs(2): file systems whose files are memory. */
const IN_MEMORY = new Set([0x0102_1994, 0x8584_58f6]);

export interface ColdFileOptions {
  /** On a disk. Default: TMPDIR, /var/tmp, the system's folder for temporary files: the first that is on a disk. */
  readonly directory?: string | undefined;
  /** Encrypt it with a key of its own, that nobody but this process has. Default false. */
  readonly sealed?: boolean | undefined;
}

/** A local file without a name, for what of an image has no place in memory: page g at g × 4096. */
export class ColdFile {
  private constructor(
    readonly descriptor: number,
    readonly directory: string,
    readonly key: Uint8Array | undefined,
  ) {}

  /** Errors: MEMORY_BUDGET where there is no disk to put it on. */
  static open(options: ColdFileOptions = {}): ColdFile {
    const directory = options.directory ?? onDisk();
    try {
      return new ColdFile(openNameless(directory), directory, options.sealed ? randomBytes(64) : undefined);
    } catch (cause) {
      throw new FitdocError(
        'MEMORY_BUDGET',
        `No file can be made in ${directory} for what has no place in memory.`,
        { cause, hint: 'Name a directory on a disk that may be written, or raise the memory budget.' },
      );
    }
  }

  /** Requires that no image uses it any more. */
  close(): void {
    this.key?.fill(0);
    closeSync(this.descriptor);
  }
}

function onDisk(): string {
  const candidates = [process.env['TMPDIR'], '/var/tmp', tmpdir()];
  const found = candidates.find((each) => each !== undefined && each !== '' && isOnDisk(each));
  if (found !== undefined) return found;
  throw new FitdocError(
    'MEMORY_BUDGET',
    'There is no directory on a disk for what has no place in memory: those for temporary files are in memory themselves.',
    { hint: 'Name a directory on a disk, set TMPDIR to one, or raise the memory budget.' },
  );
}

function isOnDisk(directory: string): boolean {
  try {
    return !IN_MEMORY.has(statfsSync(directory).type);
  } catch {
    return false;
  }
}

function openNameless(directory: string): number {
  try {
    return openSync(directory, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    // Some file systems have no such files.
    if (!['EOPNOTSUPP', 'EISDIR', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    const file = path.join(directory, `.fitdoc-${randomUUID()}`);
    const descriptor = openSync(file, 'wx+', 0o600);
    unlinkSync(file);
    return descriptor;
  }
}
