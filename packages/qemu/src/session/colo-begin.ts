import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError } from '@fitdoc/interface';
import type { QemuConfig } from '../config.js';
import type { QmpClient } from '../qmp/client.js';
import { notCompleted } from './pause.js';
import { isMigrating, migrationState } from './release.js';

/** Waits until QEMU, its guest standing, is where COLO begins. CAPABILITY_MISSING where that does not come. */
export async function coloBegins(
  { qmp, config }: { readonly qmp: QmpClient; readonly config: QemuConfig },
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + config.timeoutMs;
  for (;;) {
    const state = await migrationState(qmp, signal);
    if (state.migration === 'colo') return;
    const { migration } = state;
    if (migration === 'cancelled' || migration === 'failed') throw notCompleted(migration);
    if (!isMigrating(state) || performance.now() > deadline) throw didNotBegin(state);
    await sleep(1);
  }
}

function didNotBegin(state: Awaited<ReturnType<typeof migrationState>>): FitdocError {
  return new FitdocError('CAPABILITY_MISSING', 'What is done in the pause needs COLO, which did not begin.', {
    hint: 'Attach with disks "external" and mode "precopy", or use a QEMU built with replication support.',
    details: { guest: state.guest, migration: state.migration, qemu: state.errorText },
  });
}
