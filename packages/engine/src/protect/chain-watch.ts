import { performance } from 'node:perf_hooks';
import { isFitdocError, type FitdocError } from '@fitdoc/interface';
import type { ProtectionState } from './protection-state.js';

/** Objects looked for at a time: with thinning that is a whole chain, without it a part, each time the next. */
const AT_A_TIME = 64;

/**
 * Looks now and then whether the objects that a protection stands on are still there: an increment to a chain with a
 * hole can never be restored, and nothing else would tell before the restore. Beside the checkpoints, so that none
 * waits for it.
 */
export class ChainWatch {
  readonly #everyMs: number;
  readonly #onBroken: (error: FitdocError) => void;
  #nextMs: number;
  #from = 0;
  #looking: Promise<void> | undefined;

  constructor(everyMs: number, onBroken: (error: FitdocError) => void) {
    this.#everyMs = everyMs;
    this.#onBroken = onBroken;
    this.#nextMs = performance.now() + everyMs;
  }

  /** After a checkpoint: looks when it is time to. */
  glance(state: ProtectionState): void {
    if (this.#looking || performance.now() < this.#nextMs) return;
    this.#nextMs = performance.now() + this.#everyMs;
    this.#looking = this.#look(state).finally(() => (this.#looking = undefined));
  }

  async end(): Promise<void> {
    await this.#looking;
  }

  async #look(state: ProtectionState): Promise<void> {
    const { path, head, repository } = state;
    if (!head) return;
    if (this.#from >= path.length) this.#from = 0;
    const part = path.slice(this.#from, this.#from + AT_A_TIME);
    this.#from += AT_A_TIME;
    try {
      if (await repository.holds(part)) return;
      await repository.assertPresent();
      // Merged away, perhaps: then another way leads to the same state.
      const chain = await repository.chain(head.entry);
      const at = path.findIndex(({ key }) => key === head.entry.key);
      const newer = at < 0 ? [] : path.slice(at + 1);
      state.path = [...chain.map(({ key, bytes }) => ({ key, bytes })), ...newer];
      this.#from = 0;
    } catch (error) {
      // A store that does not answer, or forbids, says nothing about what it holds.
      if (isFitdocError(error, 'REPOSITORY_DAMAGED')) this.#onBroken(error);
    }
  }
}
