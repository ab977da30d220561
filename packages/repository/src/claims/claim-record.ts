import { isFitdocError, type CallOptions, type MachineOrigin, type Store } from '@fitdoc/interface';
import { z } from 'zod';
import { LOCKS_PREFIX, machineSegment } from '../layout.js';
import { isDead, isOurHost, type LockOwner } from '../locks/process-identity.js';

/** Milliseconds without a sign of life after which a claim from another host no longer holds. */
export const CLAIM_TTL_MS = 60_000;

const schema = z.object({
  location: z.string(),
  program: z.string(),
  protector: z.string().optional(),
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

/** Who writes a machine's chain: the one process that may, and the guest that it reads. */
export interface Writer {
  /** The guest, as its adapter knows it, secrets removed: `kvm:/run/web.qmp`. */
  readonly location: string;
  /** What writes, for people: `fitdocd`, `fitdoc watch`. */
  readonly program: string;
  /**
   * Names a protector that may run only once, such as a daemon by its state: when it starts again, wherever, it may
   * take over from what it was before.
   */
  readonly protector?: string | undefined;
  /** Whose checkpoint the guest began as: tells one that took the machine over from the one that was it before. */
  readonly origin?: MachineOrigin | undefined;
}

export interface ClaimRecord extends Writer {
  readonly createdAtMs: number;
  readonly ttlMs: number;
  readonly owner: LockOwner;
}

/** A claim as found in the store. */
export interface FoundClaim {
  readonly key: string;
  /** When it was written or refreshed last, by the store's clock. */
  readonly refreshedAtMs: number;
  /** Undefined when its object cannot be read as a claim. */
  readonly record: ClaimRecord | undefined;
}

export const CLAIMS_PREFIX = `${LOCKS_PREFIX}claims/`;

export function claimFolder(machine: string): string {
  return `${CLAIMS_PREFIX}${machineSegment(machine)}/`;
}

export function encodeClaim(record: ClaimRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

export async function findClaims(store: Store, machine: string, call: CallOptions): Promise<FoundClaim[]> {
  const found: FoundClaim[] = [];
  for await (const { key, modifiedMs } of store.list(claimFolder(machine), call)) {
    const bytes = await store.get(key, undefined, call).catch((error: unknown) => {
      if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
      throw error;
    });
    if (bytes) found.push({ key, refreshedAtMs: modifiedMs, record: decode(bytes) });
  }
  return found;
}

function decode(bytes: Uint8Array): ClaimRecord | undefined {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}

/**
 * What a look at a claim says. `living` and `ended` are certain: the process is one of this host. A claim from
 * elsewhere is `silent` when its last sign of life is too old, or lies in the future, by the store's clock: that may
 * be so because somebody set that clock, so it has `ended` only when it stays silent.
 */
export function lifeOf(
  { record, refreshedAtMs }: FoundClaim,
  storeNowMs: number,
): 'living' | 'silent' | 'ended' {
  if (record && isDead(record.owner)) return 'ended';
  if (record && isOurHost(record.owner)) return 'living';
  const ttl = record?.ttlMs ?? CLAIM_TTL_MS;
  return Math.abs(storeNowMs - refreshedAtMs) > ttl ? 'silent' : 'living';
}
