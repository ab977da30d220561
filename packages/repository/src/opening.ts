import { randomUUID } from 'node:crypto';
import { isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import type { SegmentCache } from './catalogue/packed/segment-cache.js';
import { systemClock, type Clock } from './clock.js';
import { createConfig, readConfig, refuseExisting, type RepositoryConfig } from './config.js';
import {
  beginEncryption,
  notEncrypted,
  unlock,
  type Encryption,
  type EncryptOptions,
  type UnlockOptions,
} from './encryption/encryption.js';

export interface RepositoryOptions extends CallOptions, UnlockOptions {
  /** Milliseconds to wait for other users of a machine before REPOSITORY_LOCKED. Default 30 000. */
  readonly lockWaitMs?: number;
  /** Keeps the catalogue's segments near, for a store that is far: by the repository's id. Default: none. */
  readonly cache?: ((repositoryId: string) => SegmentCache) | undefined;
  /** For tests. Default: the system's. */
  readonly clock?: Clock;
}

export interface InitOptions extends RepositoryOptions {
  /** Seal everything that is put. Default: not. */
  readonly encrypt?: EncryptOptions | undefined;
}

/** What was found or made in a store. */
export interface Opened {
  readonly config: RepositoryConfig;
  readonly encryption?: Encryption | undefined;
}

/** Makes a repository; an encrypted one's slots are there before it is, and go when it does not come to be. */
export async function makeIn(store: Store, options: InitOptions): Promise<Opened> {
  const call = options.signal ? { signal: options.signal } : {};
  const nowMs = (options.clock ?? systemClock).now();
  if (!options.encrypt)
    return { config: await createConfig(store, { id: randomUUID(), encrypted: false, nowMs }, call) };
  await refuseExisting(store, call);
  const { id, encryption, undo } = await beginEncryption(store, options.encrypt, call);
  try {
    return { config: await createConfig(store, { id, encrypted: true, nowMs }, call), encryption };
  } catch (error) {
    await undo();
    throw error;
  }
}

/** Opens the repository that is there; nothing is written. */
export async function openIn(store: Store, options: RepositoryOptions): Promise<Opened> {
  const call = options.signal ? { signal: options.signal } : {};
  const config = await readConfig(store, call);
  if (config.encrypted) return { config, encryption: await unlock(store, config.id, options, call) };
  if (options.mustBeEncrypted) throw notEncrypted(store.location);
  return { config };
}

/** Opens the repository that is there, or makes one where there is none. */
export async function openOrMakeIn(store: Store, options: InitOptions): Promise<Opened> {
  try {
    return await openIn(store, options);
  } catch (error) {
    if (!isFitdocError(error, 'REPOSITORY_NOT_FOUND')) throw error;
  }
  try {
    return await makeIn(store, options);
  } catch (error) {
    // Another process made it just now.
    if (!isFitdocError(error, 'REPOSITORY_EXISTS')) throw error;
    return await openIn(store, options);
  }
}
