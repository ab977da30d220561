import { FitdocError, type CallOptions } from '@fitdoc/interface';
import { sweepDisks } from './disks/sweep.js';
import type { Door } from './door.js';
import { isMigrating, migrationState } from './session/release.js';

/** Removes all of ours from a QEMU that nobody is attached to; see the Hypervisor port. */
export async function clean(door: Door, location: string, { signal }: CallOptions = {}): Promise<void> {
  const { client } = await door.connect(location, { signal });
  try {
    const state = await migrationState(client, signal);
    // COLO lasts for as long as an attachment.
    if (isMigrating(state)) throw busy(state.migration ?? '');
    await sweepDisks(client);
  } finally {
    client.close();
  }
}

function busy(state: string): FitdocError {
  return new FitdocError('MACHINE_BUSY', `The machine is being captured, migrated or saved (${state}).`, {
    hint: 'Detach from it first, or wait for its end ("query-migrate").',
    retryable: true,
  });
}
