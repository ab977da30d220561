import { openCheckpoint, storeSource, type CheckpointReader } from '@fitdoc/format';
import { FitdocError, isFitdocError, throwIfAborted, type Store } from '@fitdoc/interface';
import { parseCheckpointKey } from '../layout.js';
import type { OpenCheckpointOptions } from '../open-options.js';
import type { Catalogue, ListFilter } from './catalogue.js';
import { shortId, type CheckpointEntry, type ListedEntry } from './entry.js';

/** The object with this key; undefined for what is no key of one. CHECKPOINT_NOT_FOUND. */
export async function objectAt(
  catalogue: Catalogue,
  key: string,
  filter: ListFilter,
): Promise<ListedEntry | undefined> {
  const place = parseCheckpointKey(key);
  if (!place) return undefined;
  const listed = await catalogue.list({ ...filter, machine: place.machineId });
  const found = listed.find((entry) => entry.key === key);
  if (found) return found;
  throw new FitdocError('CHECKPOINT_NOT_FOUND', `There is no object ${key}.`, {
    hint: 'It is gone, or a directory has its name; fitdoc verify says what needs it.',
    details: { key, candidates: [] },
  });
}

/** See Repository.openCheckpoint: the object, if it is the one that the entry was read from. */
export async function openObject(
  store: Store,
  catalogue: Catalogue,
  entry: CheckpointEntry,
  options: OpenCheckpointOptions,
): Promise<CheckpointReader> {
  throwIfAborted(options.signal);
  const source = storeSource(store, entry.key, entry.bytes);
  const reader = await openCheckpoint(source, options).catch((error: unknown) => {
    if (isFitdocError(error, 'STORE_NOT_FOUND')) catalogue.forget(entry.key);
    throw error;
  });
  if (reader.summary.contentHash === entry.objectHash) return reader;
  throw new FitdocError('REPOSITORY_DAMAGED', `The object of checkpoint ${shortId(entry.id)} was changed.`, {
    hint: 'Bring it back from a copy.',
    details: { key: entry.key, id: entry.id, found: reader.summary.id },
  });
}
