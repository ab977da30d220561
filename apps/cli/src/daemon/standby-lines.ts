import { isFitdocError } from '@fitdoc/interface';
import { duration, shortId } from '../output/units.js';
import type { DaemonClient } from './client.js';
import type { DaemonStandby } from './model.js';

/** The standbys of a daemon; none of one of version 0.1, which knows of none. */
export async function standbysOf(client: DaemonClient): Promise<DaemonStandby[]> {
  return client.get<DaemonStandby[]>('/v1/standbys').catch((error: unknown) => {
    if (isFitdocError(error, 'PROTOCOL_ERROR') && error.details['code'] === 'NOT_FOUND') return [];
    throw error;
  });
}

/** Each standby in a line, and what is in its way. */
export function standbyLines(standbys: readonly DaemonStandby[]): string[] {
  return standbys.flatMap(({ name, state, ready, behindMs, promoted, lastProblem }) => {
    const holds = ready && behindMs !== undefined && `${shortId(ready.id)} of ${duration(behindMs)} ago`;
    const what = promoted ? `runs at ${promoted.location}` : (holds ?? 'holds nothing yet');
    const problem = lastProblem && `  ${lastProblem.message} [${lastProblem.code}]`;
    return [`standby ${name}: ${state}, ${what}`, ...(problem === undefined ? [] : [problem])];
  });
}
