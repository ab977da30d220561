import { FitdocError } from '@fitdoc/interface';
import { isMissing } from '../failures.js';
import type { FileSystem } from '../host/file-system.js';
import { readFile } from '../read-file.js';

interface Anchor {
  readonly path: string;
  readonly isOurs: (bytes: Uint8Array) => boolean;
}

/**
 * Tells whether the store's directory is still the place that it was: a file system may be unmounted under a
 * running process, and another may be mounted there. Known by one object, whose file is looked at again whenever
 * it is another file than before.
 */
export class Place {
  #anchor: Anchor | undefined;
  #seen: string | undefined;

  constructor(
    private readonly location: string,
    private readonly files: FileSystem,
    /** The place is back, on another mount perhaps: nothing that was known of it holds. */
    private readonly onReturn: () => void,
  ) {}

  anchor(path: string, isOurs: (bytes: Uint8Array) => boolean): void {
    this.#anchor = { path, isOurs };
    this.#seen = undefined;
  }

  /** STORE_UNAVAILABLE, retryable, while the place is missing or another one. */
  async check(): Promise<void> {
    const anchor = this.#anchor;
    if (!anchor) return;
    const found = await this.#fingerprint(anchor.path);
    if (found === this.#seen) return;
    const bytes = await readFile(this.files, anchor.path, undefined, new AbortController().signal).catch(
      (error: unknown) => {
        throw isMissing(error) ? this.#missing() : error;
      },
    );
    if (!anchor.isOurs(bytes)) throw this.#another();
    if (this.#seen !== undefined) this.onReturn();
    this.#seen = found;
  }

  async #fingerprint(path: string): Promise<string> {
    try {
      const { size, modifiedMs, identity } = await this.files.stat(path);
      return `${identity} ${modifiedMs} ${size}`;
    } catch (error) {
      throw isMissing(error) ? this.#missing() : error;
    }
  }

  #missing(): FitdocError {
    return new FitdocError('STORE_UNAVAILABLE', `The repository is no longer in ${this.location}.`, {
      retryable: true,
      hint: 'Mount its file system again, or, where only config.json is gone, rebuild it with fitdoc repair: what is under way goes on by itself then.',
      details: { place: 'missing' },
    });
  }

  #another(): FitdocError {
    return new FitdocError('STORE_UNAVAILABLE', `Another repository is in ${this.location} now.`, {
      retryable: true,
      hint: 'Nothing was written into it. Mount the file system that was there; what is under way goes on by itself then.',
      details: { place: 'another' },
    });
  }
}
