import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errnoOf, isMissing } from '../failures.js';
import type { FileSystem, OpenFile } from '../host/file-system.js';
import type { ProcessToken } from '../host/process-token.js';

/** Where objects are written before they get their name. No key's segment starts with a dot. */
export const INCOMING = '.fitdoc-incoming';

/** Files whose owner cannot be asked (it ran elsewhere) count as left behind when untouched for so long. */
const ABANDONED_MS = 24 * 3_600_000;
/** How often a store that lives for long looks for what others left behind. */
const TIDY_EVERY_MS = 3_600_000;
const NAME = /^([0-9a-f]+\.\d+\.\d+)-[0-9a-f]{16}\.tmp(\.2)?$/;

export interface IncomingFile {
  readonly path: string;
  readonly file: OpenFile;
}

/** The temporary files of a store: made in a directory on the file system of the objects, for link(2). */
export class Incoming {
  readonly #directory: string;
  #ready: Promise<void> | undefined;
  #tidiedAtMs = 0;

  constructor(
    root: string,
    private readonly files: FileSystem,
    private readonly owner: ProcessToken,
    private readonly now: () => number,
  ) {
    this.#directory = join(root, INCOMING);
  }

  /** A new, empty file. The first, and then one an hour, also removes what ended processes left behind. */
  async create(): Promise<IncomingFile> {
    for (let attempt = 0; ; attempt++) {
      await this.#prepared();
      const path = join(this.#directory, `${this.owner.token}-${randomBytes(8).toString('hex')}.tmp`);
      try {
        return { path, file: await this.files.create(path) };
      } catch (error) {
        // Another process ended and took the empty directory with it; or the answer to a first try was lost.
        if (attempt > 0 || !['ENOENT', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
        this.#ready = undefined;
      }
    }
  }

  /** Removes the directory when nothing is in it. */
  async leave(): Promise<void> {
    if (!this.#ready) return;
    this.#ready = undefined;
    await this.files.removeDirectory?.(this.#directory).catch(() => undefined);
  }

  /** Whatever was known of the place holds no more. */
  forget(): void {
    this.#ready = undefined;
  }

  async #prepared(): Promise<void> {
    const now = this.now();
    if (Math.abs(now - this.#tidiedAtMs) > TIDY_EVERY_MS) this.#ready = undefined;
    if (this.#ready) return this.#ready;
    this.#tidiedAtMs = now;
    const preparing = this.#prepare();
    this.#ready = preparing;
    await preparing.catch((error: unknown) => {
      if (this.#ready === preparing) this.#ready = undefined;
      throw error;
    });
  }

  async #prepare(): Promise<void> {
    await this.files.makeDirectory(this.#directory).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    for (const { name, kind } of await this.files.list(this.#directory)) {
      if (kind === 'file') await this.#removeIfLeft(name);
    }
  }

  async #removeIfLeft(name: string): Promise<void> {
    const path = join(this.#directory, name);
    const token = NAME.exec(name)?.[1];
    if (token === undefined || token === this.owner.token) return;
    try {
      const { modifiedMs } = await this.files.stat(path);
      const abandoned = this.now() - modifiedMs > ABANDONED_MS;
      if (abandoned || this.owner.hasEnded(token)) await this.files.unlink(path);
    } catch (error) {
      // Another process cleans up as well, or it is another user's file: neither is in our way.
      if (!isMissing(error) && !['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
}
