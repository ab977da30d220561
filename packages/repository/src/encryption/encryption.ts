import { randomUUID } from 'node:crypto';
import { FitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import {
  KEYS_PREFIX,
  KeyRing,
  KeySlots,
  SealedBytes,
  SealedStore,
  type Holder,
  type ScryptCost,
  type Secret,
} from '@fitdoc/sealing';
import type { SegmentCache } from '../catalogue/packed/segment-cache.js';
import { CONFIG_KEY, LOCKS_PREFIX, MACHINES_PREFIX } from '../layout.js';
import { RepositoryKeys } from './repository-keys.js';

/** How a repository is to be encrypted when it is made. */
export interface EncryptOptions {
  /** Who can open it: at least one. */
  readonly holders: readonly { readonly holder: Holder; readonly label?: string }[];
  /** The key of another repository, so that copies between the two need no opening. Default: a new one. */
  readonly keyOf?: RepositoryKeys;
  /** What a passphrase costs to try. Default: 128 MiB of memory. */
  readonly scrypt?: ScryptCost;
}

/** How an encrypted repository is opened. */
export interface UnlockOptions {
  /** Asked only where the repository is encrypted. The secrets stay the caller's to wipe. */
  readonly secrets?: (() => Promise<readonly Secret[]>) | undefined;
  /** Refuse a repository that is not encrypted: somebody may have put it there. Default false. */
  readonly mustBeEncrypted?: boolean | undefined;
}

/** What an open encrypted repository works with. */
export interface Encryption {
  readonly store: SealedStore;
  readonly keys: RepositoryKeys;
  readonly bytes: SealedBytes;
}

/** A repository that is about to be made: its id, and the slots to its key, which are there before it is. */
export interface Begun {
  readonly id: string;
  readonly encryption: Encryption;
  /** Takes away what was put, when the repository did not come to be. */
  readonly undo: () => Promise<void>;
}

/** Makes a key and the slots to it. ARGUMENT_INVALID. */
export async function beginEncryption(
  store: Store,
  { holders, keyOf, scrypt }: EncryptOptions,
  call: CallOptions,
): Promise<Begun> {
  if (holders.length === 0) {
    throw new FitdocError('ARGUMENT_INVALID', 'An encrypted repository needs somebody who can open it.', {
      hint: 'Give a passphrase, a key file or a recipient.',
    });
  }
  const id = randomUUID();
  const ring = keyOf ? keyOf.copyRing() : KeyRing.create();
  const slots = new KeySlots(store, id, { scrypt });
  const encryption = encryptionOf(store, id, ring, slots);
  const made: string[] = [];
  const undo = async (): Promise<void> => {
    for (const slot of made) await store.delete(`${KEYS_PREFIX}${slot}.json`).catch(() => undefined);
    wipe(encryption);
  };
  try {
    for (const { holder, label } of holders) made.push((await slots.add(ring, holder, label ?? '', call)).id);
  } catch (error) {
    await undo();
    throw error;
  }
  return { id, encryption, undo };
}

/** Opens an encrypted repository. KEY_MISSING, KEY_WRONG. */
export async function unlock(
  store: Store,
  id: string,
  { secrets }: UnlockOptions,
  call: CallOptions,
): Promise<Encryption> {
  const given = (await secrets?.()) ?? [];
  if (given.length === 0) {
    throw new FitdocError(
      'KEY_MISSING',
      `The repository in ${store.location} is encrypted, and no secret was given.`,
      {
        hint: 'Give its passphrase (--passphrase-file, --passphrase-command, FITDOC_PASSPHRASE) or its key (--key-file).',
      },
    );
  }
  const slots = new KeySlots(store, id);
  const { ring } = await slots.unlock(given, call);
  return encryptionOf(store, id, ring, slots);
}

/** For who was told that the repository is encrypted, and found it is not. */
export function notEncrypted(location: string): FitdocError {
  return new FitdocError(
    'REPOSITORY_INCOMPATIBLE',
    `The repository in ${location} is not encrypted, and a secret was given for it.`,
    {
      hint: 'Leave the secret out if that is as it should be. If it was encrypted before, somebody changed it: look into its store.',
      details: { encrypted: false },
    },
  );
}

/** The cache of an encrypted repository's catalogue: on this host's disk, too, it is sealed. */
export function sealedCache(cache: SegmentCache, bytes: SealedBytes): SegmentCache {
  return {
    async get(digest) {
      const sealed = await cache.get(digest);
      try {
        return sealed && bytes.open(digest, sealed);
      } catch {
        return undefined;
      }
    },
    put: (digest, segment) => cache.put(digest, bytes.seal(digest, segment)),
  };
}

/** Overwrites the keys; nothing can be read or put afterwards. */
export function wipe({ store, bytes, keys }: Encryption): void {
  store.forget();
  bytes.wipe();
  keys.wipe();
}

function encryptionOf(beneath: Store, id: string, ring: KeyRing, slots: KeySlots): Encryption {
  const store = new SealedStore(beneath, {
    ring,
    isSealed: (key) => key !== CONFIG_KEY && !key.startsWith(LOCKS_PREFIX) && !key.startsWith(KEYS_PREFIX),
    // Checkpoints are the same in every repository of one key: a copy passes them on as they are.
    scopeOf: (key) => (key.startsWith(MACHINES_PREFIX) ? '' : id),
  });
  return { store, keys: new RepositoryKeys(ring, slots), bytes: new SealedBytes(ring, `cache ${id}`) };
}
