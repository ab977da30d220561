import { randomBytes } from 'node:crypto';
import { isFitdocError, type CallOptions, type PutOptions, type StoreBody } from '@fitdoc/interface';
import type { CheckpointEntry } from '../catalogue/entry.js';
import { anotherKey } from '../layout.js';

/** A repository that takes another's objects as they are. */
interface Adopting {
  adopt(entry: CheckpointEntry, body: StoreBody, options: PutOptions): Promise<void>;
}

/**
 * Puts an object where it was in the other repository: over a damaged one there, or, when something that is no
 * object of ours or may not be replaced has its place, beside it. Gives the key that it has now.
 */
export async function place(
  to: Adopting,
  entry: CheckpointEntry,
  damagedKey: string | undefined,
  body: () => AsyncIterable<Uint8Array>,
  call: CallOptions,
): Promise<string> {
  const first = damagedKey ?? entry.key;
  const put = (key: string, mode: 'absent' | 'replace'): Promise<unknown> =>
    to.adopt({ ...entry, key }, body(), { ...call, mode, sizeHint: entry.bytes });
  try {
    await put(first, damagedKey === undefined ? 'absent' : 'replace');
    return first;
  } catch (error) {
    if (!isFitdocError(error) || !TAKEN.test(error.code)) throw error;
    const beside = anotherKey(entry.key, randomBytes(6).toString('hex'));
    await put(beside, 'absent');
    return beside;
  }
}

/** What a store says when the place cannot be had though the store can be written. */
const TAKEN = /^STORE_(EXISTS|DENIED|UNAVAILABLE)$/;
