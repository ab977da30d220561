import type { CallOptions } from '@fitdoc/interface';
import { mapOrdered } from '../workers/ordered.js';
import { nameObject } from './name-object.js';
import type { OpenLink } from './replay.js';

/** Batches that are read at a time. */
const AT_ONCE = 8;

/**
 * Reads every batch of a chain and holds it against its checksum, decoding none: damage is found before a guest
 * depends on it. Errors: FORMAT_*, naming the object, STORE_*.
 */
export async function verifyLinks(links: readonly OpenLink[], options: CallOptions = {}): Promise<void> {
  const { signal, onProgress } = options;
  const batches = links.flatMap((link) =>
    link.reader.batches.map(({ length }, batch) => ({ link, batch, length })),
  );
  const total = batches.reduce((sum, { length }) => sum + length, 0);
  const read = async ({ link, batch, length }: (typeof batches)[number]): Promise<number> => {
    await link.reader.readEncodedBatch(batch, signal ? { signal } : {}).catch(nameObject([link.entry]));
    return length;
  };
  let done = 0;
  for await (const length of mapOrdered(batches, AT_ONCE, read)) {
    done += length;
    onProgress?.({ phase: 'verifying', done, total, unit: 'bytes' });
  }
}
