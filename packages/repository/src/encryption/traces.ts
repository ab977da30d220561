import { FitdocError, isFitdocError, type CallOptions, type Store } from '@fitdoc/interface';
import { decodeSlot, KEYS_PREFIX, keyIdOf } from '@fitdoc/sealing';
import { isRepositoryId } from '../config.js';

/** So many bytes of an object tell whether it is sealed. */
const START_BYTES = 48;

/**
 * The id of the encrypted repository whose slots are there; undefined where there are none. Slots of another may lie
 * beside them, from an `init` that was killed: then the id that was told, or is legible, decides. ARGUMENT_INVALID where
 * none does, or where the told one has no slot.
 */
export async function idOfSlots(
  store: Store,
  { told, legible }: { readonly told: string | undefined; readonly legible: string | undefined },
  call: CallOptions,
): Promise<string | undefined> {
  const ids = new Set<string>();
  for await (const { key } of store.list(KEYS_PREFIX, call)) {
    const bytes = await unlessGone(store.get(key, undefined, call));
    const slot = bytes && decodeSlot(bytes, key);
    if (slot && isRepositoryId(slot.repository)) ids.add(slot.repository);
  }
  if (ids.size === 0) return undefined;
  const wanted = told ?? (legible !== undefined && ids.has(legible) ? legible : undefined);
  if (wanted === undefined ? ids.size > 1 : !ids.has(wanted)) throw whoseSlots([...ids]);
  return wanted ?? [...ids][0];
}

/** Whether an object is sealed; false where it is gone, or is none. Errors: the store's, FORMAT_VERSION. */
export async function isSealed(store: Store, key: string, call: CallOptions): Promise<boolean> {
  const start = await unlessGone(store.get(key, { offset: 0, length: START_BYTES }, call));
  try {
    return start !== undefined && keyIdOf(start, key) !== '';
  } catch (error) {
    if (isFitdocError(error, 'FORMAT_FOREIGN') || isFitdocError(error, 'FORMAT_TRUNCATED')) return false;
    throw error;
  }
}

/** REPOSITORY_DAMAGED for a repository with sealed objects that has lost all that opens them. */
export function withoutSlots({ location }: Store): FitdocError {
  return new FitdocError(
    'REPOSITORY_DAMAGED',
    `The repository in ${location} is encrypted, and none of its key slots is legible.`,
    {
      hint: 'Bring back the objects under keys/ from a copy, then repair it: without one of them nothing in it can be read.',
      details: { prefix: KEYS_PREFIX },
    },
  );
}

function whoseSlots(ids: readonly string[]): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', `The key slots are those of the repository ${ids.join(', ')}.`, {
    hint:
      ids.length === 1
        ? 'Leave the id out: they open for no other.'
        : 'Name the one that it had with --id: they open for no other.',
    details: { ids },
  });
}

function unlessGone(reading: Promise<Uint8Array>): Promise<Uint8Array | undefined> {
  return reading.catch((error: unknown) => {
    if (isFitdocError(error, 'STORE_NOT_FOUND')) return undefined;
    throw error;
  });
}
