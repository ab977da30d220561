import { randomUUID } from 'node:crypto';
import { FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { z } from 'zod';
import { CONFIG_KEY } from './layout.js';

/** The version of the repository's layout that this package writes and reads. */
export const REPOSITORY_VERSION = 1;

const schema = z.looseObject({
  format: z.literal('fitdoc-repository'),
  version: z.number().int().min(1),
  id: z.uuid(),
  createdAtMs: z.number().int().min(0),
});

/** The repository's own record: made once by `init`, never changed. */
export interface RepositoryConfig {
  readonly version: number;
  readonly id: string;
  readonly createdAtMs: number;
}

/** Writes the config object; its appearance makes the repository. REPOSITORY_EXISTS. */
export async function createConfig(
  store: Store,
  nowMs: number,
  options: CallOptions,
): Promise<RepositoryConfig> {
  const config = { version: REPOSITORY_VERSION, id: randomUUID(), createdAtMs: Math.floor(nowMs) };
  const text = JSON.stringify({ format: 'fitdoc-repository', ...config }, null, 2);
  try {
    await store.put(CONFIG_KEY, new TextEncoder().encode(`${text}\n`), options);
  } catch (error) {
    if (!isFitdocError(error, 'STORE_EXISTS')) throw error;
    throw new FitdocError('REPOSITORY_EXISTS', `There is a repository in ${store.location} already.`, {
      cause: error,
      hint: 'Use it as it is, or choose another place for a new one.',
    });
  }
  return config;
}

/** Errors: REPOSITORY_NOT_FOUND, REPOSITORY_DAMAGED, REPOSITORY_INCOMPATIBLE. */
export async function readConfig(store: Store, options: CallOptions): Promise<RepositoryConfig> {
  let bytes: Uint8Array;
  try {
    bytes = await store.get(CONFIG_KEY, undefined, options);
  } catch (error) {
    if (!isFitdocError(error, 'STORE_NOT_FOUND')) throw error;
    throw new FitdocError('REPOSITORY_NOT_FOUND', `There is no repository in ${store.location}.`, {
      cause: error,
      hint: 'Check the location, or make a repository there with init.',
    });
  }
  const parsed = parseConfig(bytes, store.location);
  if (parsed.version !== REPOSITORY_VERSION) {
    throw new FitdocError(
      'REPOSITORY_INCOMPATIBLE',
      `The repository in ${store.location} has layout version ${parsed.version}; this program knows ${REPOSITORY_VERSION}.`,
      { hint: 'Use a later version of fitdoc.', details: { version: parsed.version } },
    );
  }
  return { version: parsed.version, id: parsed.id, createdAtMs: parsed.createdAtMs };
}

function parseConfig(bytes: Uint8Array, location: string): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new FitdocError(
      'REPOSITORY_DAMAGED',
      `The config object of the repository in ${location} is damaged.`,
      {
        cause: error,
        hint: `Bring back ${CONFIG_KEY} from a copy; the checkpoints do not depend on it.`,
      },
    );
  }
}
