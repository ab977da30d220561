import type { QmpClient } from '../qmp/client.js';
import { commandsFirst } from './priorities.js';

/** Commands on their way at a time: the next one waits in QEMU's queue when it has done with one. */
const IN_FLIGHT = 4;
const PATIENCE_MS = 3000;

/**
 * Ends COLO of a guest that is to stand. QEMU starts every guest at COLO's end and has nothing that keeps it from
 * it, so one `stop` after the other waits at its door: those before the start change nothing, and the first after
 * it comes before most of what a guest does first. Gives the milliseconds, by QEMU's clock, that it ran.
 */
export async function endColoStopped(qmp: QmpClient): Promise<number> {
  let resumedAtMs: number | undefined;
  let stoppedAtMs: number | undefined;
  const remove = qmp.onEvent(({ name, atMs }) => {
    if (name === 'RESUME') resumedAtMs = atMs;
    else if (name === 'STOP' && resumedAtMs !== undefined) stoppedAtMs = atMs;
  });
  const asBefore = await commandsFirst(qmp);
  const deadline = performance.now() + PATIENCE_MS;
  const again = async (): Promise<void> => {
    while (stoppedAtMs === undefined && !qmp.closed.aborted && performance.now() < deadline)
      await qmp.execute('stop').catch(() => undefined);
  };
  try {
    const told = qmp.execute('x-colo-lost-heartbeat').catch(() => undefined);
    await Promise.all([told, ...Array.from({ length: IN_FLIGHT }, again)]);
  } finally {
    remove();
    asBefore();
  }
  return Math.max(0, (stoppedAtMs ?? resumedAtMs ?? 0) - (resumedAtMs ?? 0));
}
