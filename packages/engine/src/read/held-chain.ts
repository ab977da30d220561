import { isFitdocError, type CallOptions } from '@fitdoc/interface';
import type { CheckpointEntry, Lease, Repository } from '@fitdoc/repository';
import { openLinks, type OpenLink } from './replay.js';

/** Often enough for any luck: each attempt looks at what is there anew. */
const ATTEMPTS = 8;

export interface HeldChain {
  /** Base first. */
  readonly links: readonly OpenLink[];
  readonly lease: Lease;
}

/**
 * Opens all that shows a checkpoint's state and keeps it in place until the lease is released. Where some of it
 * was merged or removed before the lease stood, another path to the same state is looked for.
 * Errors: CHECKPOINT_NOT_FOUND, FORMAT_*, STORE_*, REPOSITORY_*.
 */
export async function holdChain(
  repository: Repository,
  entry: CheckpointEntry,
  purpose: string,
  options: CallOptions = {},
): Promise<HeldChain> {
  const call = options.signal ? { signal: options.signal } : {};
  for (let attempt = 1; ; attempt++) {
    const chain = await repository.chain(entry, call);
    // A full disk must not stand between a machine and its restore.
    const lease = await repository.hold(chain, purpose, { ...call, evenIfFull: true });
    try {
      return { links: await openLinks(repository, chain, options), lease };
    } catch (error) {
      await lease.release();
      if (!isFitdocError(error, 'STORE_NOT_FOUND') || attempt >= ATTEMPTS) throw error;
    }
  }
}
