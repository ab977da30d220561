import { FitdocError, isFitdocError, type CallOptions, type MemoryRegion } from '@fitdoc/interface';
import type { CheckpointEntry } from '@fitdoc/repository';
import { BatchCache } from './batch-cache.js';
import { readDeviceState } from './device-state.js';
import type { ProtectionEvent } from './events.js';
import type { ProtectionState } from './protection-state.js';
import type { ProtectOptions } from './protect-options.js';
import { openChain, replay, type OpenChain } from './replay.js';

/** Bytes of encoded batches kept while a chain is loaded; every batch is read once. */
const CACHE_BYTES = 16 * 2 ** 20;

/**
 * Loads the image that the machine's chain ends with, so that the first capture after an attach, which is
 * full, is stored as the words that differ from it. Correct whatever the chain holds: a wrong or old image
 * costs bytes, not truth, so only errors that repeat (a damaged chain, other regions) lead to a new base.
 */
export async function resume(
  freshState: () => ProtectionState,
  options: ProtectOptions & CallOptions,
  emit: (event: ProtectionEvent) => void,
): Promise<ProtectionState> {
  const state = freshState();
  const latest = await findLatest(state, options);
  if (!latest) {
    if (options.resume !== 'required') return state;
    throw new FitdocError(
      'CHECKPOINT_NOT_FOUND',
      `The repository has no chain of ${state.machine.info.id} to go on with.`,
      { hint: 'Leave the requirement out to start with a base.' },
    );
  }
  state.nextSequence = latest.newest.sequence + 1;
  if (options.resume === 'never') return state;
  emit({ type: 'resuming', from: latest.from });
  try {
    await load(state, latest.from, options);
    emit({ type: 'resumed', from: latest.from });
    return state;
  } catch (error) {
    if (!isFitdocError(error) || error.code === 'ABORTED' || options.resume === 'required') throw error;
    if (!startsOver(error)) throw error;
    emit({ type: 'resume-failed', from: latest.from, error });
    // What was loaded so far would count as stored: start from zeros.
    return { ...freshState(), nextSequence: state.nextSequence };
  }
}

/** A store that cannot be reached now must not lead to a needless base; damage will not go away by itself. */
function startsOver(error: FitdocError): boolean {
  return /^(FORMAT|CODEC|CHECKPOINT|MACHINE_INCOMPATIBLE|STORE_NOT_FOUND)/.test(error.code);
}

interface Latest {
  readonly newest: CheckpointEntry;
  readonly from: CheckpointEntry;
}

async function findLatest(state: ProtectionState, options: ProtectOptions): Promise<Latest | undefined> {
  const machine = state.machine.info.id;
  let newest: CheckpointEntry | undefined;
  for (const entry of await state.repository.checkpoints({ machine })) {
    if (!newest || entry.sequence >= newest.sequence) newest = entry;
  }
  if (!newest) return undefined;
  if (options.from === undefined) return { newest, from: newest };
  return { newest, from: await state.repository.resolve(options.from, { machine }) };
}

async function load(state: ProtectionState, from: CheckpointEntry, options: CallOptions): Promise<void> {
  const { image, pool, depth, repository } = state;
  const chain = await openChain(repository, from, options);
  checkRegions(chain, state.machine.info.regions);
  await replay(chain.links, {
    ...options,
    pool,
    cache: new BatchCache(CACHE_BYTES),
    target: { kind: 'image', image: image.handle() },
    window: { start: 0, count: image.pages },
    onBatch: ({ entry }, batch) => {
      depth.count(batch.gfns, batch.kinds, batch.wordCounts, entry.kind === 'base');
    },
  });
  // How many deltas in a row the chain ends with is not known here, so the next state is stored whole.
  state.head = {
    entry: from,
    deviceState: await readDeviceState(chain.links),
    chainLength: chain.links.length,
    deviceStateDepth: Number.POSITIVE_INFINITY,
  };
}

function checkRegions(chain: OpenChain, regions: readonly MemoryRegion[]): void {
  const stored = chain.links.at(-1)?.reader.header.machine.regions ?? [];
  if (layout(stored) === layout(regions)) return;
  throw new FitdocError(
    'MACHINE_INCOMPATIBLE',
    `The machine's memory is not laid out as in its last checkpoint: ${layout(stored)}; now ${layout(regions)}.`,
    { hint: 'A new base is needed.' },
  );
}

function layout(regions: readonly MemoryRegion[]): string {
  return regions.map((region) => `${region.name} ${region.pages} pages at ${region.firstGfn}`).join(', ');
}
