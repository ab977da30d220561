import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';

export interface Place {
  readonly path: string;
  /** Removes it, unless it was there before. */
  remove(): Promise<void>;
}

/** The directory that was asked for, or a new one where those of running programs are. */
export async function placeFor(given: string | undefined, name: string): Promise<Place> {
  if (given !== undefined) {
    const made = await mkdir(path.resolve(given), { recursive: true, mode: 0o700 });
    const remove = async (): Promise<void> => {
      if (made !== undefined) await rm(made, { recursive: true, force: true });
    };
    return { path: path.resolve(given), remove };
  }
  const parent = process.env['XDG_RUNTIME_DIR'] ?? tmpdir();
  const made = await mkdtemp(path.join(parent, `fitdoc-${name.replace(/[^\w.-]/g, '_').slice(0, 32)}-`));
  return { path: made, remove: () => rm(made, { recursive: true, force: true }) };
}

/** Where files of memory are kept that forks share. */
export function memoryCache(environment = process.env): string {
  const named = environment['XDG_CACHE_HOME'];
  const root = named && path.isAbsolute(named) ? named : path.join(homedir(), '.cache');
  return path.join(root, 'fitdoc', 'memory');
}
