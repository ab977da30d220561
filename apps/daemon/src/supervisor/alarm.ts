/** Longest that a timer of Node can wait; longer times are waited for in parts by the caller's loop. */
const LONGEST_MS = 2 ** 31 - 1;

/** A wait that others can end. A ring while nobody waits is remembered and ends the next wait at once. */
export class Alarm {
  #rung = false;
  #wakeUp: (() => void) | undefined;

  /** For use as a listener too. */
  readonly ring = (): void => {
    this.#rung = true;
    this.#wakeUp?.();
  };

  /** Resolves after so many milliseconds, or at the next ring. One waiter at a time. */
  async wait(milliseconds: number): Promise<void> {
    if (!this.#rung && milliseconds > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(milliseconds, LONGEST_MS));
        this.#wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wakeUp = undefined;
    this.#rung = false;
  }
}
