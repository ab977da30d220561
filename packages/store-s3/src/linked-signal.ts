import { setMaxListeners } from 'node:events';
import { linkSignals as link, type LinkedSignal } from '@fitdoc/interface';

/** Links signals without Node's warning: one call may well make many requests. */
export function linkSignals(...sources: readonly AbortSignal[]): LinkedSignal {
  setMaxListeners(0, ...sources);
  const linked = link(...sources);
  setMaxListeners(0, linked.signal);
  return linked;
}
