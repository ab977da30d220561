import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import type { SegmentCache } from './segment-cache.js';

export interface DiskCacheOptions {
  /** Bytes that all files together may have; the least recently used go. Default 256 MiB. */
  readonly maxBytes?: number;
}

const NAME = /^[0-9a-f]{32}\.seg$/;
const DEFAULT_BYTES = 256 << 20;
/** A temporary file that is older was left by a process that died. */
const ABANDONED_MS = 3_600_000;

/**
 * Segments in a directory that only its owner may read, one file each; any number of processes may use it at once.
 * What is read out of it is held against its digest by who reads, so that nothing here need be believed.
 */
export class DiskCache implements SegmentCache {
  readonly #maxBytes: number;

  constructor(
    private readonly directory: string,
    options: DiskCacheOptions = {},
  ) {
    this.#maxBytes = options.maxBytes ?? DEFAULT_BYTES;
  }

  async get(digest: string): Promise<Uint8Array | undefined> {
    const file = path.join(this.directory, `${digest}.seg`);
    try {
      const bytes = await readFile(file);
      const now = new Date();
      await utimes(file, now, now).catch(() => undefined);
      return bytes;
    } catch {
      return undefined;
    }
  }

  async put(digest: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#maxBytes) return;
    const temporary = path.join(this.directory, `${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      await this.#makeRoom(bytes.length);
      await writeFile(temporary, bytes, { mode: 0o600, flag: 'wx' });
      await rename(temporary, path.join(this.directory, `${digest}.seg`));
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  async #makeRoom(length: number): Promise<void> {
    const files: { file: string; size: number; usedMs: number }[] = [];
    for (const name of await readdir(this.directory)) {
      const file = path.join(this.directory, name);
      const found = await stat(file).catch(() => undefined);
      if (!found) continue;
      if (NAME.test(name)) files.push({ file, size: found.size, usedMs: found.mtimeMs });
      else if (name.endsWith('.tmp') && found.mtimeMs < Date.now() - ABANDONED_MS)
        await rm(file, { force: true });
    }
    files.sort((one, other) => one.usedMs - other.usedMs);
    let total = files.reduce((sum, { size }) => sum + size, length);
    for (const { file, size } of files) {
      if (total <= this.#maxBytes) return;
      await rm(file, { force: true });
      total -= size;
    }
  }
}

/** Where a user's cache of a repository's catalogue lies: under `$XDG_CACHE_HOME`, or `~/.cache`. */
export function cacheDirectory(repositoryId: string, environment = process.env): string {
  const named = environment['XDG_CACHE_HOME'];
  const root = named && path.isAbsolute(named) ? named : path.join(homedir(), '.cache');
  return path.join(root, 'fitdoc', 'catalogue', repositoryId);
}

/** Whether a store is near: a directory, or memory. Reading all of it costs no network, and no network can fail. */
export function isNear(storeLocation: string): boolean {
  return /^(fs|memory):/.test(storeLocation);
}

/** The cache for a repository in `storeLocation`: none for a store that is near, and none where `FITDOC_CACHE=off`. */
export function cacheFor(
  storeLocation: string,
  environment = process.env,
): ((repositoryId: string) => SegmentCache) | undefined {
  if (isNear(storeLocation) || environment['FITDOC_CACHE'] === 'off') return undefined;
  return (id) => new DiskCache(cacheDirectory(id, environment));
}
