import { FitdocError, withLinkedSignal } from '@fitdoc/interface';
import { Semaphore } from './semaphore.js';

/**
 * Lets one at a time thin a machine's history. What somebody asks for waits for no time-out of the repository's: what
 * goes on in the background, which may be slow on a busy host, gives way to it.
 */
export class ThinningTurns {
  readonly #place = new Semaphore(1);
  #asked = 0;
  #piece: AbortController | undefined;

  /** Runs `work` when its turn comes, after what was asked for before it. ABORTED while waiting. */
  async asked<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    this.#asked++;
    this.#piece?.abort(new FitdocError('ABORTED', 'The whole history is to be seen to.'));
    try {
      return await this.#place.run(work, signal);
    } finally {
      this.#asked--;
    }
  }

  /** Runs `work` unless somebody asks for more; undefined when it gave way. */
  async piece<Result>(
    work: (signal: AbortSignal) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    if (this.#asked > 0) return undefined;
    const piece = new AbortController();
    this.#piece = piece;
    try {
      return await this.#place.run(() => withLinkedSignal([signal, piece.signal], work), signal);
    } catch (error) {
      if (piece.signal.aborted && !signal.aborted) return undefined;
      throw error;
    } finally {
      this.#piece = undefined;
    }
  }
}
