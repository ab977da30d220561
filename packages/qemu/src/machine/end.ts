import { FitdocError, abortError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

/**
 * Aborted when QEMU is gone. The reason says how the guest ended where QEMU told: one that powered off has ended, which
 * is no failure.
 */
export function endOf(qmp: QmpClient): AbortSignal {
  const end = new AbortController();
  let shutdown: { guest: boolean; reason: string } | undefined;
  const remove = qmp.onEvent(({ name, data }) => {
    if (name === 'SHUTDOWN')
      shutdown = {
        guest: data['guest'] === true,
        reason: typeof data['reason'] === 'string' ? data['reason'] : '',
      };
  });
  const close = (): void => {
    remove();
    end.abort(shutdown === undefined ? abortError(qmp.closed) : ended(shutdown));
  };
  if (qmp.closed.aborted) close();
  else qmp.closed.addEventListener('abort', close, { once: true });
  return end.signal;
}

function ended({ guest, reason }: { guest: boolean; reason: string }): FitdocError {
  if (!guest || reason === 'guest-panic')
    return new FitdocError('MACHINE_GONE', `QEMU has ended (${reason}).`, {
      hint: 'Start the guest again and attach anew.',
      details: { reason },
    });
  const what =
    reason === 'guest-reset' ? 'has reset, and QEMU was told to end then (-no-reboot)' : 'has powered off';
  return new FitdocError('MACHINE_GONE', `The guest ${what}.`, {
    hint: 'Start it again and attach anew, or restore a checkpoint.',
    details: { ended: true, reason },
  });
}
