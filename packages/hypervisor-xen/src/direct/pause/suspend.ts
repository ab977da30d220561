import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError, throwIfAborted } from '@fitdoc/interface';
import { notRunning } from '../../host/states.js';
import type { DomainControl } from '../xen/control.js';

const REQUEST = 'control/shutdown';

/** Takes back a request to suspend that the guest has not yet answered. */
export function withdrawSuspend(control: DomainControl): void {
  if (control.readStore(REQUEST) === 'suspend') control.writeStore(REQUEST, '');
}

/**
 * Whether a guest tells what it does when it is asked (`control/feature-*`), and a suspend is not among it. One that
 * tells of nothing may be older than these keys, or still be starting: it is asked.
 */
export function refusesSuspend(control: DomainControl): boolean {
  const offers = (what: string) => control.readStore(`control/feature-${what}`) === '1';
  return !offers('suspend') && (offers('poweroff') || offers('reboot'));
}

/** When a guest was asked to suspend, and when it ran for the last time, or a little later; `performance.now()`. */
export interface SuspendTimes {
  readonly askedMs: number;
  readonly lastRanMs: number;
}

/**
 * Asks the guest to suspend, as the toolstack does, and waits until its vCPUs stand still. A guest that was
 * suspended in this way can be restored: it knows to rebuild its event channels. Errors: CAPTURE_FAILED when
 * it does not answer, MACHINE_NOT_RUNNING when its operator pauses it meanwhile, ABORTED; in each case the guest is
 * as it would be without the request.
 */
export async function suspendGuest(
  control: DomainControl,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<SuspendTimes> {
  const askedMs = performance.now();
  control.writeStore(REQUEST, 'suspend');
  let last = { lookedMs: askedMs, ranMs: control.flags().ranMs };
  for (;;) {
    const lookedMs = performance.now();
    const { suspended, ended, paused, ranMs } = control.flags();
    // What its vCPUs ran since the last look they did not stand; with several, one of them ran for that long.
    if (suspended) {
      return { askedMs, lastRanMs: Math.min(lookedMs, last.lookedMs + Math.max(0, ranMs - last.ranMs)) };
    }
    if (ended) throw new FitdocError('CAPTURE_FAILED', 'The guest ended instead of suspending.');
    last = { lookedMs, ranMs };
    if (paused || signal.aborted || lookedMs > askedMs + timeoutMs) {
      withdrawSuspend(control);
      if (paused) throw notRunning('paused');
      await settle(control);
      throwIfAborted(signal);
      throw new FitdocError('CAPTURE_FAILED', `The guest did not suspend within ${timeoutMs} ms.`, {
        hint: 'Its kernel must react to control/shutdown in xenstore, as Linux does; raise config.pauseLimitSeconds.',
        retryable: true,
      });
    }
    // Xen tells of a suspend through xenstored only, which is no quicker than to look.
    await sleep(1);
  }
}

// A guest that took the request just before it was withdrawn suspends after all.
async function settle(control: DomainControl): Promise<void> {
  for (let look = 0; look < 100; look++) {
    if (control.flags().suspended) {
      control.resume();
      control.announceResume();
      return;
    }
    await sleep(10);
  }
}
