import type { CallOptions } from '@fitdoc/interface';
import type { Catalogue } from './catalogue.js';
import { isIntact, type CheckpointEntry, type ListedEntry } from './entry.js';
import { Lineage } from './lineage.js';
import { explainHole } from './unreadable.js';

/** Often enough for any luck: each listing looks at what is there anew. */
const LISTINGS = 8;

/**
 * The objects to read for a restore point; see `Repository.chain`. Nothing is called damaged before every object was
 * asked for, and not while merging goes on under the listing: what it saw first may be gone when it comes to read it,
 * and what took its place was not there yet.
 */
export async function wayTo(
  catalogue: Catalogue,
  entry: CheckpointEntry,
  options: CallOptions,
): Promise<CheckpointEntry[]> {
  const filter = { machine: entry.machineId, ...options };
  let listed = await catalogue.list(filter);
  for (let attempt = 1; ; attempt++) {
    const lineage = new Lineage(listed.filter(isIntact));
    if (lineage.cost(entry)) return lineage.chain(entry);
    const again = await catalogue.list({ ...filter, audit: true });
    if (attempt >= LISTINGS || holdsAll(again, listed)) return chainOrHole(entry, again);
    listed = again;
  }
}

function holdsAll(listed: readonly ListedEntry[], before: readonly ListedEntry[]): boolean {
  const keys = new Set(listed.map(({ key }) => key));
  return before.every(({ key }) => keys.has(key));
}

function chainOrHole(entry: CheckpointEntry, listed: readonly ListedEntry[]): CheckpointEntry[] {
  try {
    return new Lineage(listed.filter(isIntact)).chain(entry);
  } catch (error) {
    throw explainHole(error, listed);
  }
}
