import { withLinkedSignal } from '@fitdoc/interface';
import type { Clock } from '../clock.js';
import { busyError } from './lock-record.js';

interface Waiting {
  readonly machine: string | undefined;
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Waits for others in this process, no longer than for those in others. REPOSITORY_LOCKED. */
export async function withPatience<T>(
  clock: Clock,
  { machine, waitMs, signal }: Waiting,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const patience = new AbortController();
  const ended = new AbortController();
  void clock.sleep(waitMs, ended.signal).then(
    () => patience.abort(busyError(machine)),
    () => undefined,
  );
  try {
    return await withLinkedSignal([signal, patience.signal], body);
  } finally {
    ended.abort();
  }
}
