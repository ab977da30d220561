import { FitdocError } from './errors.js';

/** The part of a file's status that matters here; Node's `Stats` has it. */
export interface OutputStatus {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isBlockDevice(): boolean;
}

/**
 * Refuses a place for an output that a finished file would take away: a FIFO or a device that others use (as root,
 * the host's own), a directory; and a file, unless somebody said that it may be replaced. `status` is what lstat(2)
 * says of it, undefined when nothing is there. ARGUMENT_INVALID.
 */
export function checkOutputPlace(
  file: string,
  status: OutputStatus | undefined,
  replace: boolean | undefined,
): void {
  if (!status) return;
  if (status.isFile()) {
    if (replace) return;
    throw new FitdocError('ARGUMENT_INVALID', `${file} is there already.`, {
      hint: 'Name another file, or add --force to replace this one.',
      details: { file },
    });
  }
  const [what, hint] = describe(status);
  throw new FitdocError('ARGUMENT_INVALID', `${file} is ${what}, which no file may replace.`, {
    hint,
    details: { file },
  });
}

const NAME_A_FILE = 'Name a file: it is written beside its place and appears there when it is complete.';

function describe(status: OutputStatus): [what: string, hint: string] {
  if (status.isDirectory()) return ['a directory', 'Name a file in it.'];
  if (status.isSymbolicLink())
    return ['a symbolic link to nothing', 'Name the file itself, or remove the link.'];
  if (status.isFIFO()) return ['a pipe', NAME_A_FILE];
  if (status.isSocket()) return ['a socket', NAME_A_FILE];
  if (status.isBlockDevice())
    return ['a disk', 'Write a file, and from there to the disk: dd if=FILE of=DISK conv=fsync.'];
  return ['a device', NAME_A_FILE];
}
