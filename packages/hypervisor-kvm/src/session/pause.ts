import { abortError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

/** Follows a guest's stops and resumptions through QEMU's events, which carry QEMU's own time. */
export class PauseWatch {
  stoppedAtMs = 0;
  resumedAtMs = 0;
  private waiting: (() => void)[] = [];
  private readonly remove: () => void;

  constructor(private readonly qmp: QmpClient) {
    this.remove = qmp.onEvent(({ name, atMs }) => {
      if (name === 'STOP') {
        this.stoppedAtMs = atMs;
      } else if (name === 'RESUME') {
        this.resumedAtMs = atMs;
        for (const wake of this.waiting.splice(0)) wake();
      }
    });
  }

  /** Waits for the next RESUME from now on; rejects on abort and when QEMU is gone. */
  async resumed(signal: AbortSignal): Promise<void> {
    const any = AbortSignal.any([signal, this.qmp.closed]);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(abortError(any));
      if (any.aborted) return onAbort();
      any.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(() => {
        any.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }

  close(): void {
    this.remove();
  }
}
