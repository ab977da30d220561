import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FitdocError } from '@fitdoc/interface';

/** Most bytes of a unix socket's path: `sun_path` without its end. */
export const SOCKET_PATH_BYTES = 107;
/** What `mkdtemp` and the longest name of a socket in it add to a folder. */
const ADDED = '/fitdoc-kvm-XXXXXX/incoming.sock'.length;

/**
 * Makes a folder that only this user can open, for sockets that QEMU opens by their path. The system's folder for
 * temporary files may be too deep for that: then the next that is not. LOCATION_INVALID when `parent` was asked for
 * and is too deep.
 */
export async function makeSocketFolder(parent?: string): Promise<string> {
  if (parent !== undefined && !fits(parent)) {
    throw new FitdocError(
      'LOCATION_INVALID',
      `The path of a socket in ${parent} would have more than ${SOCKET_PATH_BYTES} bytes.`,
      { hint: 'Set socketDirectory to a folder with a shorter path.' },
    );
  }
  const candidates = parent === undefined ? [tmpdir(), '/run', '/tmp'].filter(fits) : [parent];
  const failures: unknown[] = [];
  for (const candidate of candidates) {
    try {
      return await mkdtemp(join(candidate, 'fitdoc-kvm-'));
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

function fits(folder: string): boolean {
  return Buffer.byteLength(folder) + ADDED <= SOCKET_PATH_BYTES;
}
