import { FitdocError, isFitdocError, type Store } from '@fitdoc/interface';
import { z } from 'zod';
import { LOCKS_PREFIX, machineSegment } from './layout.js';
import { isDead, type LockOwner } from './process-identity.js';

export type LockKind = 'shared' | 'exclusive';

/** Milliseconds after which a lock that nobody refreshed no longer holds. */
export const LOCK_TTL_MS = 60_000;

const schema = z.object({
  purpose: z.string(),
  createdAtMs: z.number(),
  ttlMs: z.number(),
  owner: z.object({
    host: z.string(),
    pid: z.number(),
    scope: z.string(),
    startedAt: z.string(),
    instance: z.string(),
  }),
});

/** What a lock object holds. */
export interface LockRecord {
  readonly purpose: string;
  readonly createdAtMs: number;
  readonly ttlMs: number;
  readonly owner: LockOwner;
}

/** A lock as found in the store. */
export interface FoundLock {
  readonly key: string;
  readonly kind: LockKind;
  /** When it was written or refreshed last, by the store's clock. */
  readonly refreshedAtMs: number;
  /** Undefined when its object cannot be read as a lock. */
  readonly record: LockRecord | undefined;
}

const ALL = '_all';

/** Where locks over a machine (or over all of them) lie. No machine's segment is `_all`. */
export function lockFolder(kind: LockKind, machine: string | undefined): string {
  return `${LOCKS_PREFIX}${kind}/${machine === undefined ? ALL : machineSegment(machine)}/`;
}

/** Whether a lock is over the machine. */
export function touches(lock: FoundLock, machine: string): boolean {
  return [machine, undefined].some((scope) => lock.key.startsWith(lockFolder(lock.kind, scope)));
}

export function encodeLock(record: LockRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

/** The locks of a kind that touch a machine; with no machine, all of the kind. */
export async function findLocks(
  store: Store,
  kind: LockKind,
  machine: string | undefined,
  signal?: AbortSignal,
): Promise<FoundLock[]> {
  const prefixes =
    machine === undefined
      ? [`${LOCKS_PREFIX}${kind}/`]
      : [lockFolder(kind, machine), lockFolder(kind, undefined)];
  const call = signal ? { signal } : {};
  const found: FoundLock[] = [];
  for (const prefix of prefixes) {
    for await (const { key, modifiedMs } of store.list(prefix, call)) {
      const record = await readLock(store, key, signal);
      if (record !== 'gone') found.push({ key, kind, refreshedAtMs: modifiedMs, record });
    }
  }
  return found;
}

async function readLock(
  store: Store,
  key: string,
  signal?: AbortSignal,
): Promise<LockRecord | undefined | 'gone'> {
  let bytes: Uint8Array;
  try {
    bytes = await store.get(key, undefined, signal ? { signal } : {});
  } catch (error) {
    if (isFitdocError(error, 'STORE_NOT_FOUND')) return 'gone';
    throw error;
  }
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}

/** Whether nobody can hold the lock any longer: its process is gone, or it was not refreshed in time. */
export function isStale(lock: FoundLock, storeNowMs: number): boolean {
  if (lock.record && isDead(lock.record.owner)) return true;
  return storeNowMs - lock.refreshedAtMs > (lock.record?.ttlMs ?? LOCK_TTL_MS);
}

/** REPOSITORY_LOCKED, naming who holds the lock and since when. */
export function lockedError(lock: FoundLock, storeNowMs: number): FitdocError {
  const { record } = lock;
  const who = record
    ? `process ${record.owner.pid} on ${record.owner.host} (${record.purpose})`
    : 'someone unknown';
  const ageMs = Math.max(0, storeNowMs - (record?.createdAtMs ?? lock.refreshedAtMs));
  const ttl = Math.ceil((record?.ttlMs ?? LOCK_TTL_MS) / 1000);
  return new FitdocError(
    'REPOSITORY_LOCKED',
    `The repository is locked by ${who} for ${Math.round(ageMs / 1000)} s.`,
    {
      retryable: true,
      hint: `Try again when it is done. If its process has ended, the lock ends ${ttl} s after its last sign of life.`,
      details: { key: lock.key, kind: lock.kind, owner: record?.owner, purpose: record?.purpose, ageMs },
    },
  );
}

/** REPOSITORY_LOCKED for what this very process does. */
export function busyError(machine: string | undefined): FitdocError {
  const what = machine === undefined ? 'The repository' : `The machine ${machine}`;
  return new FitdocError('REPOSITORY_LOCKED', `${what} is being read or written by this process.`, {
    retryable: true,
    hint: 'Try again when the restore or checkpoint under way is done.',
    details: { machine, purpose: 'in this process' },
  });
}
