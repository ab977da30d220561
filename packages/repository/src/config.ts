import { FitdocError, isFitdocError, type CallOptions, type PutOptions, type Store } from '@fitdoc/interface';
import { z } from 'zod';
import { CONFIG_KEY, MACHINES_PREFIX, parseCheckpointKey } from './layout.js';

/**
 * The version of the repository's layout that `init` makes. Version 1 is as version 2 without derived objects;
 * a program that does not know these must not decide what goes, and refuses version 2.
 */
export const REPOSITORY_VERSION = 2;
/** The version of an encrypted repository: programs that know nothing of sealing refuse it. */
export const ENCRYPTED_VERSION = 3;
/** How the objects of an encrypted one are sealed. */
const SEALING = 'sealing-v1';
/** The oldest that is read; it is raised before the first derived object is put. */
export const OLDEST_REPOSITORY_VERSION = 1;

const idSchema = z.uuid();

const schema = z.looseObject({
  format: z.literal('fitdoc-repository'),
  version: z.number().int().min(1),
  id: idSchema,
  createdAtMs: z.number().int().min(0),
  sealing: z.looseObject({ spec: z.string() }).optional(),
});

/** Whether a text can be a repository's id. */
export function isRepositoryId(text: string): boolean {
  return idSchema.safeParse(text).success;
}

/** The repository's own record: made once by `init`; only its version is ever raised. */
export interface RepositoryConfig {
  readonly version: number;
  readonly id: string;
  readonly createdAtMs: number;
  /** Whether everything but this record, the slots of its keys and locks is sealed. */
  readonly encrypted: boolean;
}

/**
 * Writes the config object; its appearance makes the repository. Errors: REPOSITORY_EXISTS; REPOSITORY_DAMAGED where
 * there is one whose config object is missing.
 */
export async function createConfig(
  store: Store,
  { id, encrypted, nowMs }: { readonly id: string; readonly encrypted: boolean; readonly nowMs: number },
  options: CallOptions,
): Promise<RepositoryConfig> {
  const version = encrypted ? ENCRYPTED_VERSION : REPOSITORY_VERSION;
  const config = { version, id, createdAtMs: Math.floor(nowMs), encrypted };
  try {
    await refuseLostConfig(store, options);
    await putConfig(store, config, options);
  } catch (error) {
    if (!isFitdocError(error, 'STORE_EXISTS')) throw error;
    throw alreadyThere(store.location, error);
  }
  anchorTo(store, config.id);
  return config;
}

/** Puts a config object as it is told, without looking at what there is. Errors: the store's. */
export async function putConfig(store: Store, config: RepositoryConfig, options: PutOptions): Promise<void> {
  await store.put(CONFIG_KEY, encodeConfig(config), options);
}

/** Checkpoints without a config object are a repository that has lost it: none is made over them. */
async function refuseLostConfig(store: Store, options: CallOptions): Promise<void> {
  if (!(await holdsCheckpoints(store, options))) return;
  // Another process may have made the repository, and stored something, just now.
  if (await store.stat(CONFIG_KEY, options)) return;
  throw damaged(store.location, 'missing');
}

async function holdsCheckpoints(store: Store, options: CallOptions): Promise<boolean> {
  for await (const { key } of store.list(MACHINES_PREFIX, options)) if (parseCheckpointKey(key)) return true;
  return false;
}

/** REPOSITORY_EXISTS where there is one, whatever it is. */
export async function refuseExisting(store: Store, options: CallOptions): Promise<void> {
  if (await store.stat(CONFIG_KEY, options)) throw alreadyThere(store.location);
}

function alreadyThere(location: string, cause?: unknown): FitdocError {
  return new FitdocError('REPOSITORY_EXISTS', `There is a repository in ${location} already.`, {
    cause,
    hint: 'Use it as it is, or choose another place for a new one.',
  });
}

/**
 * A store that turns into another repository under us (another mount, say), or into something else, is not written
 * into. A config object that is damaged shows nothing of the kind: a guest is not left unprotected for it.
 */
function anchorTo(store: Store, id: string): void {
  store.anchor?.(CONFIG_KEY, (bytes) => {
    const found = jsonOf(bytes);
    return found === undefined || schema.safeParse(found).data?.id === id;
  });
}

/**
 * Says that the repository may hold derived objects from now on. Atomic, and the same whoever does it: several
 * at once do no harm.
 */
export async function raiseConfig(
  store: Store,
  config: RepositoryConfig,
  options: CallOptions,
): Promise<RepositoryConfig> {
  const raised = { ...config, version: REPOSITORY_VERSION };
  await putConfig(store, raised, { ...options, mode: 'replace' });
  return raised;
}

function encodeConfig({ version, id, createdAtMs, encrypted }: RepositoryConfig): Uint8Array {
  const sealing = encrypted ? { sealing: { spec: SEALING } } : {};
  const text = JSON.stringify({ format: 'fitdoc-repository', version, id, createdAtMs, ...sealing }, null, 2);
  return new TextEncoder().encode(`${text}\n`);
}

/** Errors: REPOSITORY_NOT_FOUND, REPOSITORY_DAMAGED, REPOSITORY_INCOMPATIBLE. */
export async function readConfig(store: Store, options: CallOptions): Promise<RepositoryConfig> {
  let bytes: Uint8Array;
  try {
    bytes = await store.get(CONFIG_KEY, undefined, options);
  } catch (error) {
    if (!isFitdocError(error, 'STORE_NOT_FOUND')) throw error;
    if (await holdsCheckpoints(store, options)) throw damaged(store.location, 'missing', error);
    throw new FitdocError('REPOSITORY_NOT_FOUND', `There is no repository in ${store.location}.`, {
      cause: error,
      hint: 'Check the location, or make a repository there with init.',
    });
  }
  const { version, id, createdAtMs, sealing } = parseConfig(bytes, store.location);
  const isKnown = version >= OLDEST_REPOSITORY_VERSION && version <= ENCRYPTED_VERSION;
  if (!isKnown || (sealing && sealing.spec !== SEALING)) {
    throw new FitdocError(
      'REPOSITORY_INCOMPATIBLE',
      isKnown
        ? `The repository in ${store.location} is encrypted as ${JSON.stringify(sealing?.spec)}; this program knows ${SEALING}.`
        : `The repository in ${store.location} has layout version ${version}; this program knows ${OLDEST_REPOSITORY_VERSION} to ${ENCRYPTED_VERSION}.`,
      { hint: 'Use a later version of fitdoc.', details: { version } },
    );
  }
  if ((version === ENCRYPTED_VERSION) !== (sealing !== undefined)) throw damaged(store.location, 'damaged');
  anchorTo(store, id);
  return { version, id, createdAtMs, encrypted: sealing !== undefined };
}

/**
 * Throws STORE_UNAVAILABLE when the repository is not where it was: its place is empty (a mount that is gone), has lost
 * its config object, or holds another. A config object that cannot be read as one is no proof of that.
 */
export async function assertPresent(store: Store, id: string, options: CallOptions): Promise<void> {
  const bytes = await store.get(CONFIG_KEY, undefined, options).catch((error: unknown) => {
    if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
    throw error;
  });
  const found = bytes && schema.safeParse(jsonOf(bytes));
  if (found && (!found.success || found.data.id === id)) return;
  if (!found && (await holdsCheckpoints(store, options))) throw lostConfig(store.location, id);
  const what = found ? 'Another repository is' : 'The repository is no longer';
  throw new FitdocError('STORE_UNAVAILABLE', `${what} in ${store.location}.`, {
    retryable: true,
    hint: 'Look whether its file system is mounted, and the right one.',
    details: { id },
  });
}

/** Whoever writes here waits until it is there again. */
function lostConfig(location: string, id: string): FitdocError {
  return new FitdocError(
    'STORE_UNAVAILABLE',
    `The config object (${CONFIG_KEY}) of the repository in ${location} is missing.`,
    { retryable: true, hint: `Rebuild it with: fitdoc repair ${location} --id ${id}`, details: { id } },
  );
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function parseConfig(bytes: Uint8Array, location: string): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw damaged(location, bytes.length === 0 ? 'empty' : 'damaged', error);
  }
}

function damaged(location: string, how: string, cause?: unknown): FitdocError {
  return new FitdocError(
    'REPOSITORY_DAMAGED',
    `The config object (${CONFIG_KEY}) of the repository in ${location} is ${how}.`,
    {
      cause,
      hint: `Rebuild it with: fitdoc repair ${location}; no checkpoint depends on it.`,
      details: { key: CONFIG_KEY },
    },
  );
}
