import { setTimeout as sleep } from 'node:timers/promises';
import type { QmpClient } from '../qmp/client.js';
import { whileStanding, type InPause } from './in-pause.js';
import { isMigrating, migrationState, release } from './release.js';

/** Waits for an ordinary migration's end and starts the guest again, which QEMU takes for moved away. */
export async function endOrdinary(
  qmp: QmpClient,
  timeoutMs: number,
  signal: AbortSignal,
  inPause: InPause | undefined,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (isMigrating(await migrationState(qmp, signal)) && performance.now() < deadline) await sleep(1);
  try {
    // One that failed stands no more.
    if (inPause && (await migrationState(qmp, signal)).guest === 'postmigrate') await whileStanding(inPause);
  } finally {
    await release(qmp);
  }
}
