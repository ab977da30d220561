import type { CheckpointResult } from '@fitdoc/engine';
import { abortError } from '@fitdoc/interface';

/** A checkpoint that somebody asked for beside the schedule. */
export interface Request {
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: CheckpointResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Checkpoints that were asked for and not begun. */
export class Requests {
  #waiting: Request[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  /** Settles as the checkpoint does that serves the request; ABORTED when the signal comes first. */
  add(signal?: AbortSignal): Promise<CheckpointResult> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortError(signal));
        return;
      }
      const giveUp = (): void => {
        const before = this.#waiting.length;
        this.#waiting = this.#waiting.filter((other) => other !== request);
        if (signal && this.#waiting.length < before) reject(abortError(signal));
      };
      const request: Request = {
        signal,
        resolve: (result) => {
          signal?.removeEventListener('abort', giveUp);
          resolve(result);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', giveUp);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(request);
    });
  }

  /** All that wait, for one checkpoint to serve. */
  take(): Request[] {
    return this.#waiting.splice(0);
  }

  rejectAll(error: unknown): void {
    for (const { reject } of this.take()) reject(error);
  }
}
