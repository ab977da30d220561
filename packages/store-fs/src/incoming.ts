import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errnoOf, isMissing } from './failures.js';
import type { FileSystem, OpenFile } from './file-system.js';
import type { ProcessToken } from './process-token.js';

/** Where objects are written before they get their name. No key's segment starts with a dot. */
export const INCOMING = '.fitdoc-incoming';

/** Files whose owner cannot be asked (it ran elsewhere) count as left behind when untouched for so long. */
const ABANDONED_MS = 24 * 3_600_000;
const NAME = /^([0-9a-f]+\.\d+\.\d+)-[0-9a-f]{16}\.tmp$/;

export interface IncomingFile {
  readonly path: string;
  readonly file: OpenFile;
}

/** The temporary files of a store: made in a directory on the file system of the objects, for link(2). */
export class Incoming {
  readonly #directory: string;
  #ready: Promise<void> | undefined;

  constructor(
    root: string,
    private readonly files: FileSystem,
    private readonly owner: ProcessToken,
    private readonly now: () => number,
  ) {
    this.#directory = join(root, INCOMING);
  }

  /** A new, empty file. The first also removes what ended processes left behind. */
  async create(): Promise<IncomingFile> {
    this.#ready ??= this.#prepare();
    await this.#ready.catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    const path = join(this.#directory, `${this.owner.token}-${randomBytes(8).toString('hex')}.tmp`);
    return { path, file: await this.files.create(path) };
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
