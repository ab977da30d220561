import { abortError, FitdocError, isFitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { migrationState } from '../session/release.js';

/** How long a QEMU that could not load gets to answer, milliseconds. */
export const ANSWER_MS = 2000;

/** A QEMU that stayed to tell its reason has half a machine in it: it is ended, as it would have ended itself. */
export async function cannotLoad(qmp: QmpClient, reason: string | undefined): Promise<FitdocError> {
  if (reason !== undefined) await qmp.execute('quit').catch(() => undefined);
  return new FitdocError('RESTORE_FAILED', `QEMU could not load the checkpoint: ${reason ?? 'see its log'}`, {
    hint: "QEMU's own messages say which device or section it stumbled over.",
    details: reason === undefined ? {} : { qemu: reason },
  });
}

/** A stream that QEMU closed has its reason in QEMU, when that is still there. */
export async function whyBroken(error: unknown, qmp: QmpClient): Promise<unknown> {
  if (isFitdocError(error) || qmp.closed.aborted) return error;
  const state = await migrationState(qmp, AbortSignal.timeout(ANSWER_MS)).catch(() => undefined);
  return state?.migration === 'failed' ? cannotLoad(qmp, state.errorText) : error;
}

export function notWaiting(guest: string): FitdocError {
  return new FitdocError(
    'MACHINE_BUSY',
    `This QEMU does not wait for a machine to come in (it is "${guest}").`,
    {
      hint: 'Start a QEMU with the same options and "-incoming defer", and restore into that.',
    },
  );
}

/** For who insists that the guest runs before its memory is there. Nothing was touched. */
export function notLazily(reason: string): FitdocError {
  return new FitdocError(
    'MACHINE_INCOMPATIBLE',
    `This guest cannot run before its memory is there: ${reason}.`,
    { hint: 'Load all of the memory first: leave out --lazy. The QEMU still waits, as it was.' },
  );
}

/** What a restore that failed rejects with. */
export function failure(error: unknown, qmp: QmpClient, signal: AbortSignal | undefined): unknown {
  // Of a guest that runs already, more is to be said than that.
  if (isFitdocError(error) && error.details['running'] === true) return error;
  if (signal?.aborted === true) return abortError(signal);
  if (isFitdocError(error, 'RESTORE_FAILED')) return error;
  const gone = qmp.closed.aborted;
  if (!gone && isFitdocError(error) && error.code !== 'PROTOCOL_ERROR') return error;
  return new FitdocError(
    'RESTORE_FAILED',
    gone
      ? 'QEMU ended while it loaded the checkpoint.'
      : `QEMU did not take the checkpoint: ${error instanceof Error ? error.message : String(error)}`,
    {
      cause: error,
      details: isFitdocError(error) ? error.details : {},
      hint: "QEMU's own messages (its standard error or log) say what it stumbled over.",
    },
  );
}
