import { setMaxListeners } from 'node:events';
import { FitdocError } from '@fitdoc/interface';

/** How long a commit may go on after it was cancelled: what was sent may be done, and whether it is matters. */
const GRACE_MS = 5_000;
/** Far below the age at which others take a reservation for abandoned. */
const LONGEST_MS = 20 * 60_000;

export interface CommitSignal {
  readonly signal: AbortSignal;
  end(): void;
}

/**
 * The signal for the requests that make an object appear. Cutting them off would leave open whether it did, so a
 * cancelled commit has a little time to reach its end.
 */
export function commitSignal(cancelled: AbortSignal): CommitSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  let grace: NodeJS.Timeout | undefined;
  const onCancel = (): void => {
    grace = setTimeout(() => controller.abort(cancelled.reason), GRACE_MS);
  };
  const tooLong = new FitdocError('STORE_UNAVAILABLE', 'The server did not complete the object in time.', {
    retryable: true,
    hint: 'See what the server is busy with, then try again.',
  });
  const limit = setTimeout(() => controller.abort(tooLong), LONGEST_MS);
  cancelled.addEventListener('abort', onCancel, { once: true });
  return {
    signal: controller.signal,
    end() {
      cancelled.removeEventListener('abort', onCancel);
      clearTimeout(grace);
      clearTimeout(limit);
    },
  };
}
