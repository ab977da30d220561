import { open } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';

/** Most bytes of a unix socket's path; Node cuts longer ones off without a word. */
const MOST_BYTES = 107;

export interface ReachablePath {
  readonly path: string;
  /** After the connection was made, or was not. */
  release(): Promise<void>;
}

/** A short path to a socket whose own is too long for the system: through its folder, held open meanwhile. */
export async function reachable(path: string): Promise<ReachablePath> {
  if (Buffer.byteLength(path) <= MOST_BYTES) return { path, release: () => Promise.resolve() };
  const folder = await open(dirname(resolve(path)), 'r');
  return { path: `/proc/self/fd/${folder.fd}/${basename(path)}`, release: () => folder.close() };
}
