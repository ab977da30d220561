import { FitdocError, isFitdocError, type Store } from '@fitdoc/interface';
import { z } from 'zod';
import { LOCKS_PREFIX, machineSegment } from '../layout.js';
import type { Going, Held } from './holding.js';
import { isDead, type LockOwner } from './process-identity.js';

/** Who keeps, who removes, and who merges: of the last two there is one a machine at a time. */
export type LockKind = 'shared' | 'exclusive' | 'merger';

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
  holds: z.object({ objects: z.array(z.string()), from: z.number().optional() }).optional(),
  removes: z.array(z.string().regex(/^\d+ ./)).optional(),
});

/**
 * What a lock object holds. A shared lock without `holds`, and an exclusive one without `removes`, are over all
 * of the machine: so are those of programs that know of neither.
 */
export interface LockRecord {
  readonly purpose: string;
  readonly createdAtMs: number;
  readonly ttlMs: number;
  readonly owner: LockOwner;
  /** Of a shared lock: names of the objects that it keeps, and the sequence from which on it keeps all. */
  readonly holds?: { readonly objects: readonly string[]; readonly from?: number | undefined } | undefined;
  /** Of an exclusive lock: sequence and name of each object that goes. */
  readonly removes?: readonly string[] | undefined;
}

/** The members of a record that say what a lock is over. */
export type LockExtent = Pick<LockRecord, 'holds' | 'removes'>;

export function extentOfHeld(held: Held): LockExtent {
  if (held === 'everything') return {};
  const { objects, from } = held;
  return { holds: { objects: [...objects], ...(from === undefined ? {} : { from }) } };
}

export function extentOfGoing(going: Going): LockExtent {
  if (going === 'everything') return {};
  return { removes: [...going].map(([name, sequence]) => `${sequence} ${name}`) };
}

/** What a shared lock keeps in place. */
export function heldBy({ record }: FoundLock): Held {
  if (!record?.holds) return 'everything';
  return { objects: new Set(record.holds.objects), from: record.holds.from };
}

/** What an exclusive lock's owner takes away. */
export function goingBy({ record }: FoundLock): Going {
  if (!record?.removes) return 'everything';
  return new Map(
    record.removes.map((text) => {
      const space = text.indexOf(' ');
      return [text.slice(space + 1), Number(text.slice(0, space))];
    }),
  );
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
  const below = async (prefix: string): Promise<FoundLock[]> => {
    const found: FoundLock[] = [];
    for await (const { key, modifiedMs } of store.list(prefix, call)) {
      const record = await readLock(store, key, signal);
      if (record !== 'gone') found.push({ key, kind, refreshedAtMs: modifiedMs, record });
    }
    return found;
  };
  return (await Promise.all(prefixes.map(below))).flat();
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

/**
 * What a look at a lock tells. `dead`: its process is gone, which this host knows. `silent`: by the store's clock it was
 * not refreshed in time, or will be; somebody may have set that clock, or a host's that stands in for it.
 */
export function lifeOf(lock: FoundLock, storeNowMs: number): 'living' | 'dead' | 'silent' {
  if (lock.record && isDead(lock.record.owner)) return 'dead';
  const age = Math.abs(storeNowMs - lock.refreshedAtMs);
  return age > (lock.record?.ttlMs ?? LOCK_TTL_MS) ? 'silent' : 'living';
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
