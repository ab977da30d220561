import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

const FINAL = new Set([undefined, 'none', 'completed', 'failed', 'cancelled']);
/** States in which a migration of ours, and nothing else, makes a guest stand. */
const STOPPED_BY_US = new Set(['colo', 'finish-migrate', 'postmigrate']);

/** What QEMU is doing, as far as it matters to a migration. */
export interface MigrationState {
  /** Run state of the guest: `running`, `paused`, `colo`. */
  readonly guest: string;
  /** State of the migration; undefined when there was none. */
  readonly migration: string | undefined;
  readonly errorText: string | undefined;
}

export async function migrationState(qmp: QmpClient, signal?: AbortSignal): Promise<MigrationState> {
  const guest = await qmp.execute<{ status: string }>('query-status', {}, { signal });
  const migration = await qmp.execute<{ status?: string; 'error-desc'?: string }>(
    'query-migrate',
    {},
    { signal },
  );
  return { guest: guest.status, migration: migration.status, errorText: migration['error-desc'] };
}

/** Whether a migration is under way. */
export function isMigrating({ migration }: MigrationState): boolean {
  return !FINAL.has(migration);
}

/**
 * Ends a migration to us, in whatever state it is, and makes sure that the guest runs. To be called when our
 * end of the stream is closed. MACHINE_PAUSED when the guest does not run after `timeoutMs`.
 */
export async function release(qmp: QmpClient, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    const state = await migrationState(qmp);
    const migrating = isMigrating(state);
    if (!migrating && !STOPPED_BY_US.has(state.guest)) return;
    if (Date.now() > deadline) throw stuck(qmp.path, state);
    // Each may be refused when QEMU has moved on meanwhile; the next round looks again.
    const command = nextCommand(state, migrating);
    await qmp.execute(command).catch((error: unknown) => {
      if (qmp.closed.aborted) throw error;
    });
    await sleep(pauseMs);
  }
}

function nextCommand(state: MigrationState, migrating: boolean): string {
  if (state.migration === 'colo' || state.guest === 'colo') return 'x-colo-lost-heartbeat';
  return migrating ? 'migrate_cancel' : 'cont';
}

function stuck(path: string, state: MigrationState): FitdocError {
  return new FitdocError('MACHINE_PAUSED', `The guest stands (${state.guest}) and did not resume.`, {
    hint: `Send "x-colo-lost-heartbeat", then "cont", to QEMU through ${path}.`,
    details: { guest: state.guest, migration: state.migration },
  });
}
