import {
  FitdocError,
  isFitdocError,
  throwIfAborted,
  withLinkedSignal,
  type CallOptions,
  type Harvest,
} from '@fitdoc/interface';

/**
 * Keeps the order that the port asks of a machine: one capture at a time, its harvest settled before the next,
 * none after a detach.
 */
export class CaptureGate {
  readonly #gone = new AbortController();
  readonly #detach = new AbortController();
  #busy = false;
  #settled: Promise<unknown> = Promise.resolve();

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  get detached(): boolean {
    return this.#detach.signal.aborted;
  }

  markGone(error: FitdocError): void {
    if (!this.gone.aborted) this.#gone.abort(error);
  }

  /** Runs one capture; `work` gives the harvest without its two ends. Errors: MACHINE_BUSY, MACHINE_GONE. */
  async capture(
    options: CallOptions | undefined,
    work: (signal: AbortSignal) => Promise<Omit<Harvest, 'commit' | 'rollback'>>,
  ): Promise<Harvest> {
    throwIfAborted(options?.signal);
    if (this.gone.aborted) throw this.gone.reason as FitdocError;
    if (this.detached) throw this.#refuse('fitdoc has detached from the machine', 'Attach again.');
    if (this.#busy)
      throw this.#refuse('a capture or its harvest is not settled', 'Commit or roll back first.');
    this.#busy = true;
    const running = withLinkedSignal([this.#detach.signal, options?.signal], work);
    this.#settled = running.catch(() => {});
    try {
      const harvest = await running;
      const settle = async () => {
        this.#busy = false;
      };
      return { ...harvest, commit: settle, rollback: settle };
    } catch (error) {
      this.#busy = false;
      if (isFitdocError(error)) throw error;
      throw new FitdocError('CAPTURE_FAILED', 'The capture failed; the guest runs on.', {
        cause: error,
        hint: 'See the cause. No dirty page is lost: capture again.',
        retryable: true,
      });
    }
  }

  /** Aborts a capture under way and waits for its end. */
  async close(): Promise<void> {
    this.#detach.abort();
    await this.#settled;
  }

  #refuse(why: string, hint: string): FitdocError {
    return new FitdocError('MACHINE_BUSY', `The machine cannot be captured now: ${why}.`, { hint });
  }
}
