import { isFitdocError, type FitdocError } from '@fitdoc/interface';
import type { Attachment } from './attachment.js';

/** Whether the guest stands, by its operator's doing or its own, and why. */
export class StandingWatch {
  /** Undefined while it runs, as far as is known. */
  why: FitdocError | undefined;
  #off: FitdocError | undefined;

  /** Asks an attached guest. `again`: it stood when it was asked last, and runs now. */
  async look({ machine, protection }: Attachment, signal: AbortSignal): Promise<'runs' | 'stands' | 'again'> {
    const before = this.why;
    this.why = await protection.standing({ signal }).catch((error: unknown) => {
      if (!machine.gone.aborted) throw error;
      return undefined;
    });
    if (this.why !== undefined) return 'stands';
    return before === undefined ? 'runs' : 'again';
  }

  /** Others know that it does not run (why), or that it may (undefined). Whether that is news. */
  setOff(why: FitdocError | undefined): boolean {
    const before = this.#off;
    this.#off = why;
    return before?.message !== why?.message;
  }

  get isOff(): boolean {
    return this.#off !== undefined;
  }

  /** Throws why it does not run, as far as others know. */
  assertOn(): void {
    if (this.#off !== undefined) throw this.#off;
  }

  /** What an attachment ended with; whether that was because the guest stands. */
  ended(error: unknown): boolean {
    this.why = isFitdocError(error, 'MACHINE_NOT_RUNNING') ? error : undefined;
    return this.why !== undefined;
  }
}
