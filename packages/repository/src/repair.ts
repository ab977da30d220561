import { randomUUID } from 'node:crypto';
import { FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { systemClock, type Clock } from './clock.js';
import {
  ENCRYPTED_VERSION,
  isRepositoryId,
  OLDEST_REPOSITORY_VERSION,
  putConfig,
  readConfig,
  REPOSITORY_VERSION,
  type RepositoryConfig,
} from './config.js';
import { idOfSlots, isSealed, withoutSlots } from './encryption/traces.js';
import { CONFIG_KEY, MACHINES_PREFIX, parseCheckpointKey } from './layout.js';

export interface RepairOptions extends CallOptions {
  /** The repository's id, where it is known. Default: what is legible of the damaged object, else a new one. */
  readonly id?: string;
  /** For tests. Default: the system's. */
  readonly clock?: Clock;
}

export interface RepairReport {
  /** What was found in the place of the config object. */
  readonly found: 'whole' | 'damaged' | 'missing';
  readonly config: RepositoryConfig;
  /** Where the id comes from. A new one is not what others know the repository by: a daemon's configuration, a cache. */
  readonly idFrom: 'config' | 'caller' | 'keys' | 'new';
}

/**
 * Rebuilds the config object of a repository where it is damaged or missing, from what is legible of it and from the
 * objects; nothing else depends on it. What is whole is left as it is. Errors: REPOSITORY_NOT_FOUND where there is no
 * checkpoint, for then nothing shows that this is a repository; REPOSITORY_INCOMPATIBLE; ARGUMENT_INVALID for an id that
 * is none, or another than the whole config object has; REPOSITORY_DAMAGED where checkpoints are sealed and no key slot
 * is legible; the store's.
 */
export async function repairRepository(store: Store, options: RepairOptions = {}): Promise<RepairReport> {
  const { id, clock = systemClock, signal } = options;
  const call = signal ? { signal } : {};
  checkId(id);
  const whole = await readWhole(store, call);
  if (whole) {
    if (id === undefined || id === whole.id) return { found: 'whole', config: whole, idFrom: 'config' };
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `The repository's config object is whole; its id is ${whole.id}.`,
      {
        hint: 'Leave the id as it is.',
      },
    );
  }
  const bytes = await store.get(CONFIG_KEY, undefined, call).catch(absent);
  const legible = read(bytes ?? new Uint8Array());
  const seen = await look(store, call);
  if (!seen) throw nothingThere(store);
  const slotsId = await idOfSlots(store, { told: id, legible: legible.id }, call);
  // A plain one made of it would take what is stored next unsealed.
  if (slotsId === undefined && (await isSealed(store, seen.key, call))) throw withoutSlots(store);
  const version = Math.max(
    legible.version ?? OLDEST_REPOSITORY_VERSION,
    seen.derived ? REPOSITORY_VERSION : 0,
  );
  const config = {
    version: slotsId === undefined ? version : ENCRYPTED_VERSION,
    // The slots open for the repository with their id, and for no other.
    id: slotsId ?? id ?? legible.id ?? randomUUID(),
    encrypted: slotsId !== undefined,
    createdAtMs: legible.createdAtMs ?? Math.floor(Math.min(seen.oldestMs, clock.now())),
  };
  if (config.version > (config.encrypted ? ENCRYPTED_VERSION : REPOSITORY_VERSION)) {
    throw new FitdocError('REPOSITORY_INCOMPATIBLE', `It was of layout version ${config.version}.`, {
      hint: 'Use a later version of fitdoc.',
      details: { version: config.version },
    });
  }
  await putConfig(store, config, { ...call, mode: bytes ? 'replace' : 'absent' });
  const idFrom =
    id !== undefined ? 'caller' : legible.id === config.id ? 'config' : config.encrypted ? 'keys' : 'new';
  return { found: bytes ? 'damaged' : 'missing', config, idFrom };
}

async function readWhole(store: Store, call: CallOptions): Promise<RepositoryConfig | undefined> {
  try {
    return await readConfig(store, call);
  } catch (error) {
    if (isFitdocError(error, 'REPOSITORY_DAMAGED') || isFitdocError(error, 'REPOSITORY_NOT_FOUND'))
      return undefined;
    throw error;
  }
}

/** What the keys of the objects tell; undefined where there are none. */
async function look(
  store: Store,
  call: CallOptions,
): Promise<{ readonly derived: boolean; readonly oldestMs: number; readonly key: string } | undefined> {
  let found: { derived: boolean; oldestMs: number; key: string } | undefined;
  for await (const { key } of store.list(MACHINES_PREFIX, call)) {
    const place = parseCheckpointKey(key);
    if (!place) continue;
    found ??= { derived: false, oldestMs: Infinity, key };
    found.derived ||= place.derived ?? false;
    found.oldestMs = Math.min(found.oldestMs, place.createdAtMs);
  }
  return found;
}

/** What is still legible of a damaged config object. */
function read(bytes: Uint8Array): Partial<RepositoryConfig> {
  const text = new TextDecoder().decode(bytes);
  const id = /"id"\s*:\s*"([^"]+)"/.exec(text)?.[1];
  const version = /"version"\s*:\s*(\d+)\s*[,}]/.exec(text)?.[1];
  const createdAtMs = /"createdAtMs"\s*:\s*(\d{1,16})\s*[,}]/.exec(text)?.[1];
  return {
    ...(id !== undefined && isRepositoryId(id) && { id }),
    ...(version !== undefined && { version: Number(version) }),
    ...(createdAtMs !== undefined && { createdAtMs: Number(createdAtMs) }),
  };
}

function checkId(id: string | undefined): void {
  if (id === undefined || isRepositoryId(id)) return;
  throw new FitdocError('ARGUMENT_INVALID', `Not a repository's id: ${JSON.stringify(id.slice(0, 80))}.`, {
    hint: 'It is a UUID, as init printed it.',
  });
}

function absent(error: unknown): undefined {
  if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
  throw error;
}

function nothingThere({ location }: Store): FitdocError {
  return new FitdocError(
    'REPOSITORY_NOT_FOUND',
    `There is no checkpoint in ${location}, and no repository to repair.`,
    {
      hint: 'Check the location. Where it is the right one nothing is lost: remove config.json, if it is there, and init.',
    },
  );
}
