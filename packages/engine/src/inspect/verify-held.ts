import {
  isIntact,
  type CheckpointEntry,
  type Lease,
  type ListedEntry,
  type Repository,
} from '@fitdoc/repository';
import { verify, type VerifyOptions, type VerifyReport } from './verify.js';

/** Often enough for any luck: each attempt looks at what is there anew. */
const ATTEMPTS = 8;

/** What is to be verified, and what else that stands on. */
export interface Verifiable {
  readonly entries: readonly ListedEntry[];
  readonly below?: readonly CheckpointEntry[];
}

/**
 * `verify` of what `list` gives, which is held in place meanwhile. What was merged or removed before the lease stood is
 * listed anew, so that nothing that went by a policy is called lost. Errors: those of `verify`, of `list`, and
 * REPOSITORY_LOCKED.
 */
export async function verifyHeld(
  repository: Repository,
  list: () => Promise<Verifiable>,
  options: VerifyOptions = {},
): Promise<VerifyReport & { readonly entries: readonly ListedEntry[] }> {
  const call = options.signal ? { signal: options.signal } : {};
  for (let attempt = 1; ; attempt++) {
    const { entries, below = [] } = await list();
    const objects = [...new Set([...entries.filter(isIntact), ...below])];
    const leases: Lease[] = [];
    try {
      for (const machine of new Set(objects.map(({ machineId }) => machineId))) {
        const own = objects.filter(({ machineId }) => machineId === machine);
        leases.push(await repository.hold(own, 'verify', { ...call, evenIfFull: true }));
      }
      const gone = await goneOf(repository, objects, options);
      if (gone.size > 0 && attempt < ATTEMPTS) continue;
      const there = entries.filter((entry) => !gone.has(entry.key));
      return { ...(await verify(repository, there, options)), entries: there };
    } finally {
      for (const lease of leases) await lease.release();
    }
  }
}

/** The keys of those that are not there any longer. */
async function goneOf(
  repository: Repository,
  objects: readonly CheckpointEntry[],
  { signal }: VerifyOptions,
): Promise<ReadonlySet<string>> {
  const gone = new Set(objects.map(({ key }) => key));
  for (const machine of new Set(objects.map(({ machineId }) => machineId)))
    for (const { key } of await repository.objects({ machine, audit: true, ...(signal && { signal }) }))
      gone.delete(key);
  return gone;
}
