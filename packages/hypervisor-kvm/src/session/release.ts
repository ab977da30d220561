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

export interface ReleaseOptions {
  /** Closes our end of the stream; called when QEMU's reaction will not be missed. */
  readonly close?: () => Promise<void>;
  readonly timeoutMs?: number;
}

/** How long QEMU gets to notice that the stream is closed before it is told, milliseconds. */
const NOTICE_COLO = 300;
const NOTICE_MIGRATION = 3000;

/**
 * Ends a migration to us, in whatever state it is, and makes sure that the guest runs. MACHINE_PAUSED when
 * the guest does not run after `timeoutMs`.
 *
 * QEMU is told nothing before it has noticed by itself that the stream is closed: a command that meets COLO
 * while it starts, or a migration while it fails, can crash QEMU and the guest with it.
 */
export async function release(qmp: QmpClient, options: ReleaseOptions = {}): Promise<void> {
  let noticed = false;
  const remove = qmp.onEvent(({ name }) => (noticed ||= name === 'COLO_EXIT'));
  try {
    await options.close?.();
    const start = Date.now();
    let quietUntil = 0;
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
      const state = await migrationState(qmp);
      const over = !isMigrating(state) && !STOPPED_BY_US.has(state.guest);
      if (over && !(await isUnfinished(qmp))) return;
      const elapsed = Date.now() - start;
      if (elapsed > (options.timeoutMs ?? 15_000)) throw stuck(qmp.path, state);
      const command = over || elapsed < quietUntil ? undefined : nextCommand(state, elapsed, noticed);
      if (command !== undefined) {
        quietUntil = elapsed + 500;
        // It may be refused when QEMU has moved on meanwhile; the next round looks again.
        await qmp.execute(command).catch((error: unknown) => {
          if (qmp.closed.aborted) throw error;
        });
      }
      await sleep(waitMs);
    }
  } finally {
    remove();
  }
}

/**
 * Whether QEMU has yet to clean up after a migration that it already calls completed or failed: a migration
 * that is begun in that time crashes QEMU. Only the list of what can be yanked shows it.
 */
async function isUnfinished(qmp: QmpClient): Promise<boolean> {
  const instances = await qmp.execute<readonly { type: string }[]>('query-yank').catch((error: unknown) => {
    if (qmp.closed.aborted) throw error;
    return undefined;
  });
  if (instances !== undefined) return instances.some(({ type }) => type === 'migration');
  await sleep(500);
  return false;
}

function nextCommand(state: MigrationState, elapsed: number, noticed: boolean): string | undefined {
  if (state.migration === 'colo' || state.guest === 'colo')
    return noticed || elapsed >= NOTICE_COLO ? 'x-colo-lost-heartbeat' : undefined;
  if (isMigrating(state)) return elapsed >= NOTICE_MIGRATION ? 'migrate_cancel' : undefined;
  return 'cont';
}

function stuck(path: string, state: MigrationState): FitdocError {
  return new FitdocError('MACHINE_PAUSED', `The guest stands (${state.guest}) and did not resume.`, {
    hint: `Send "x-colo-lost-heartbeat", then "cont", to QEMU through ${path}.`,
    details: { guest: state.guest, migration: state.migration },
  });
}
