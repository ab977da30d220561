import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { endColoStopped } from './end-stopped.js';

const FINAL = new Set([undefined, 'none', 'completed', 'failed', 'cancelled']);
/** States in which a migration of ours, and nothing else, makes a guest stand. */
const STOPPED_BY_US = new Set(['colo', 'finish-migrate', 'postmigrate']);
/** States that QEMU leaves alone at COLO's end, or that `stop` brings back as they were. */
const CAN_END_COLO = new Set(['running', 'paused', 'shutdown', ...STOPPED_BY_US]);

/** What QEMU is doing, as far as it matters to a migration. */
export interface MigrationState {
  /** Run state of the guest: `running`, `paused`, `colo`. */
  readonly guest: string;
  /** State of the migration; undefined when there was none. */
  readonly migration: string | undefined;
  readonly errorText: string | undefined;
}

export async function migrationState(qmp: QmpClient, signal?: AbortSignal): Promise<MigrationState> {
  const [guest, migration] = await Promise.all([
    qmp.execute<{ status: string }>('query-status', {}, { signal }),
    qmp.execute<{ status?: string; 'error-desc'?: string }>('query-migrate', {}, { signal }),
  ]);
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
  /** The guest stood by somebody else's doing before our migration ended: it is left standing. */
  readonly keepStopped?: boolean;
}

/** How a migration of ours was ended. */
export interface Released {
  /**
   * The run state of a guest which COLO's end would start and no `stop` would bring back as it was: COLO is left
   * pending, with nobody at its other end, until the guest runs.
   */
  readonly pending?: string;
  /** Milliseconds for which QEMU let a guest run that its operator had stopped, until it was stopped again. */
  readonly ranMs?: number;
}

/** How long QEMU gets to notice that the stream is closed before it is told, milliseconds. */
const NOTICE_COLO = 300;
const NOTICE_MIGRATION = 3000;
/** How long a migration may stay in its cancelling while the guest runs, before it is given up. */
const CANCELLING = 5000;

/**
 * Ends a migration to us, in whatever state it is, and leaves the guest as its operator wants it: running, unless
 * something other than our migration had stopped it. MACHINE_PAUSED when a guest that is to run does not after
 * `timeoutMs`; MACHINE_BUSY when it runs and the migration does not end.
 *
 * QEMU is told nothing before it has noticed by itself that the stream is closed: a command that meets COLO
 * while it starts, or a migration while it fails, can crash QEMU and the guest with it.
 */
export async function release(qmp: QmpClient, options: ReleaseOptions = {}): Promise<Released> {
  let noticed = false;
  const remove = qmp.onEvent(({ name }) => (noticed ||= name === 'COLO_EXIT'));
  let released: Released = {};
  try {
    await options.close?.();
    const start = performance.now();
    let quietUntil = 0;
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
      const state = await migrationState(qmp);
      const over = !isMigrating(state) && isAsWanted(state, options);
      if (over && !(await isUnfinished(qmp))) return released;
      if (isColo(state) && !CAN_END_COLO.has(state.guest)) return { pending: state.guest };
      const elapsed = performance.now() - start;
      checkPatience(qmp.location, state, elapsed, options);
      const wait = over || elapsed < quietUntil;
      const command = wait ? undefined : nextCommand(state, elapsed, { noticed, ...options });
      if (command !== undefined) {
        quietUntil = elapsed + 500;
        if (command === 'x-colo-lost-heartbeat' && (state.guest === 'paused' || options.keepStopped))
          released = { ranMs: await endColoStopped(qmp) };
        else await tell(qmp, command);
      }
      await sleep(waitMs);
    }
  } finally {
    remove();
  }
}

function isAsWanted({ guest }: MigrationState, { keepStopped }: ReleaseOptions): boolean {
  return !STOPPED_BY_US.has(guest) || (keepStopped === true && guest === 'postmigrate');
}

function isColo({ guest, migration }: MigrationState): boolean {
  return migration === 'colo' || guest === 'colo';
}

/** It may be refused when QEMU has moved on meanwhile; the next round looks again. */
async function tell(qmp: QmpClient, command: string): Promise<void> {
  await qmp.execute(command).catch((error: unknown) => {
    if (qmp.closed.aborted) throw error;
  });
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

function nextCommand(
  state: MigrationState,
  elapsed: number,
  { noticed, keepStopped }: { readonly noticed: boolean; readonly keepStopped?: boolean },
): string | undefined {
  if (isColo(state)) return noticed || elapsed >= NOTICE_COLO ? 'x-colo-lost-heartbeat' : undefined;
  if (isMigrating(state)) return elapsed >= NOTICE_MIGRATION ? 'migrate_cancel' : undefined;
  // What is between two states of a guest that is to stand comes to its end by itself.
  return keepStopped ? undefined : 'cont';
}

function checkPatience(
  location: string,
  state: MigrationState,
  elapsed: number,
  options: ReleaseOptions,
): void {
  const stands = STOPPED_BY_US.has(state.guest);
  const patience = options.timeoutMs ?? 15_000;
  if (!stands && state.migration === 'cancelling' && elapsed > Math.min(CANCELLING, patience))
    throw unending(state);
  if (elapsed > patience) throw stands ? stuck(location, state) : unending(state);
}

function stuck(location: string, state: MigrationState): FitdocError {
  return new FitdocError('MACHINE_PAUSED', `The guest stands (${state.guest}) and did not resume.`, {
    hint: `Send "x-colo-lost-heartbeat", then "cont", to QEMU through ${location}.`,
    details: { guest: state.guest, migration: state.migration },
  });
}

function unending({ guest, migration, errorText }: MigrationState): FitdocError {
  return new FitdocError('MACHINE_BUSY', `QEMU's migration does not end (${migration}).`, {
    hint: `The guest is as it was (${guest}). Only a new QEMU can be migrated or checkpointed again.`,
    details: { guest, migration, ...(errorText === undefined ? {} : { qemu: errorText }) },
  });
}
