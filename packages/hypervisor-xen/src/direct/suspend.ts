import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError, throwIfAborted } from '@fitdoc/interface';
import type { DomainControl } from './control.js';

const REQUEST = 'control/shutdown';

/** Takes back a request to suspend that the guest has not yet answered. */
export function withdrawSuspend(control: DomainControl): void {
  if (control.readStore(REQUEST) === 'suspend') control.writeStore(REQUEST, '');
}

/**
 * Asks the guest to suspend, as the toolstack does, and waits until its vCPUs stand still. A guest that was
 * suspended in this way can be restored: it knows to rebuild its event channels. Errors: CAPTURE_FAILED when
 * it does not answer, ABORTED; in both cases the guest runs.
 */
export async function suspendGuest(
  control: DomainControl,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  control.writeStore(REQUEST, 'suspend');
  const end = Date.now() + timeoutMs;
  for (;;) {
    const { suspended, ended } = control.flags();
    if (suspended) return;
    if (ended) throw new FitdocError('CAPTURE_FAILED', 'The guest ended instead of suspending.');
    if (signal.aborted || Date.now() > end) {
      withdrawSuspend(control);
      await settle(control);
      throwIfAborted(signal);
      throw new FitdocError('CAPTURE_FAILED', `The guest did not suspend within ${timeoutMs} ms.`, {
        hint: 'Its kernel must react to control/shutdown in xenstore, as Linux does; raise config.pauseLimitSeconds.',
        retryable: true,
      });
    }
    await sleep(1);
  }
}

// A guest that took the request just before it was withdrawn suspends after all.
async function settle(control: DomainControl): Promise<void> {
  for (let look = 0; look < 100; look++) {
    if (control.flags().suspended) {
      control.resume();
      return;
    }
    await sleep(10);
  }
}
