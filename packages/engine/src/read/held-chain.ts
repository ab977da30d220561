import { isFitdocError, type CallOptions } from '@fitdoc/interface';
import type { CheckpointEntry, Lease, Repository } from '@fitdoc/repository';
import { mapOrdered } from '../workers/ordered.js';
import { openLinks, type OpenLink } from './replay.js';

/** Often enough for any luck: each attempt looks at what is there anew. */
const ATTEMPTS = 8;
/** Objects that are looked for at a time. */
const LOOK_AT_ONCE = 32;

export interface HoldOptions extends CallOptions {
  /**
   * Somebody waits for the first page: open the objects while the lease is written, which costs a further look for each.
   * Default false: one after the other.
   */
  readonly awaited?: boolean;
}

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
  options: HoldOptions = {},
): Promise<HeldChain> {
  const call = options.signal ? { signal: options.signal } : {};
  for (let attempt = 1; ; attempt++) {
    const chain = await repository.chain(entry, call);
    const early = options.awaited ? openLinks(repository, chain, options) : undefined;
    early?.catch(() => undefined);
    // A full disk must not stand between a machine and its restore.
    const lease = await repository.hold(chain, purpose, { ...call, evenIfFull: true });
    try {
      const links = await (early ?? openLinks(repository, chain, options));
      if (early) await lookAgain(repository, chain, call);
      return { links, lease };
    } catch (error) {
      await lease.release();
      if (!isFitdocError(error, 'STORE_NOT_FOUND') || attempt >= ATTEMPTS) throw error;
    }
  }
}

/** What was opened before the lease stood may have gone before it did. STORE_NOT_FOUND. */
async function lookAgain(
  repository: Repository,
  chain: readonly CheckpointEntry[],
  call: CallOptions,
): Promise<void> {
  const look = async (entry: CheckpointEntry): Promise<void> => {
    if (await repository.store.stat(entry.key, call)) return;
    // So that the catalogue, too, learns of it.
    await repository.openCheckpoint(entry, call);
  };
  for await (const _ of mapOrdered(chain, LOOK_AT_ONCE, look)) continue;
}
