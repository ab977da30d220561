import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { PAGE_SIZE, type CallOptions } from '@fitdoc/interface';
import { stateOf } from '@fitdoc/repository';
import { exportRaw, mainRegion } from '../export/raw.js';
import type { CheckpointSource } from '../read/checkpoint-source.js';

export interface MemoryFilesOptions {
  /** A directory on a file system with room for a guest's memory, which only this uses. */
  readonly directory: string;
  /** Bytes on disk beyond which files that were used longest ago go. Default 64 GiB. */
  readonly limitBytes?: number;
}

const DEFAULT_LIMIT = 64 * 2 ** 30;

/**
 * Files of main memory, one a state, made once and mapped by all its forks. Named after the state, so that nothing needs
 * to be believed of a file that is there: it appears whole. One that goes while it is mapped stays for who has it.
 */
export class MemoryFiles {
  readonly #directory: string;
  readonly #limit: number;

  constructor({ directory, limitBytes = DEFAULT_LIMIT }: MemoryFilesOptions) {
    this.#directory = directory;
    this.#limit = limitBytes;
  }

  /** The file of a checkpoint's main memory; made where it is not there. Errors: those of `exportRaw`. */
  async of(source: CheckpointSource, options: CallOptions = {}): Promise<{ file: string; made: boolean }> {
    const region = mainRegion(source);
    const file = path.join(this.#directory, `${stateOf(source.entry)}.memory`);
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const there = await stat(file).catch(() => undefined);
    if (there?.size === region.pages * PAGE_SIZE) {
      await utimes(file, new Date(), new Date());
      return { file, made: false };
    }
    await exportRaw(source, file, { ...options, replace: true });
    await this.#makeRoom(path.basename(file));
    return { file, made: true };
  }

  /** Removes what was used longest ago, until the rest is within the limit; never the one that is wanted. */
  async #makeRoom(wanted: string): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith('.memory'));
    const found = await Promise.all(
      names.map(async (name) => {
        const { blocks, mtimeMs } = await stat(path.join(this.#directory, name)).catch(() => NOTHING);
        return { name, bytes: blocks * 512, usedMs: mtimeMs };
      }),
    );
    let total = found.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { name, bytes } of found.sort((a, b) => a.usedMs - b.usedMs)) {
      if (total <= this.#limit) return;
      if (name === wanted) continue;
      await rm(path.join(this.#directory, name), { force: true });
      total -= bytes;
    }
  }
}

const NOTHING = { blocks: 0, mtimeMs: 0 };
