import { setTimeout as sleep } from 'node:timers/promises';
import {
  FitdocError,
  isFitdocError,
  PAGE_SIZE,
  type CallOptions,
  type MemoryRegion,
} from '@fitdoc/interface';
import { isIntact, isWithheld, type CheckpointEntry, type DamagedEntry } from '@fitdoc/repository';
import { loadKnownDisks } from '../disks/known-disks.js';
import { BatchCache } from '../read/batch-cache.js';
import { readDeviceState } from '../read/device-state.js';
import { ownLatest } from './own-latest.js';
import { holdChain } from '../read/held-chain.js';
import type { ProtectionEvent } from './events.js';
import type { ProtectionState } from './protection-state.js';
import type { ProtectOptions } from './protect-options.js';
import { replay, type OpenLink } from '../read/replay.js';

/** Bytes of encoded batches kept while a chain is loaded; every batch is read once. */
const CACHE_BYTES = 16 * 2 ** 20;
/** How often an object is read that the disk fails to give, and the milliseconds between two tries. */
const READS = 3;
const READ_AGAIN_MS = 500;

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
  const { damaged } = latest;
  if (damaged.length > 0) emit({ type: 'damaged', entries: damaged, from: latest.from });
  state.nextSequence = latest.nextSequence;
  const { from } = latest;
  if (!from) {
    if (options.resume !== 'required') return state;
    throw new FitdocError(
      'CHECKPOINT_NOT_FOUND',
      `The repository has no chain of ${state.machine.info.id} to go on with.`,
      { hint: 'Leave the requirement out to start with a base.' },
    );
  }
  if (options.resume === 'never') return state;
  emit({ type: 'resuming', from });
  try {
    await loadOrAgain(state, from, options);
    emit({ type: 'resumed', from });
    return state;
  } catch (error) {
    if (!isFitdocError(error) || error.code === 'ABORTED' || options.resume === 'required') throw error;
    if (!startsOver(error)) throw error;
    await state.repository.assertPresent();
    emit({ type: 'resume-failed', from, error });
    // What was loaded so far would count as stored: start from zeros.
    return { ...freshState(), nextSequence: state.nextSequence };
  }
}

/**
 * A store that cannot be reached now, or that forbids, must not lead to a needless base: what it holds may be good.
 * Damage will not go away by itself, and neither will an object that the disk under it fails to give.
 */
function startsOver(error: FitdocError): boolean {
  if (error.code === 'STORE_UNAVAILABLE') return isWithheld(error);
  return /^(FORMAT|CODEC|CHECKPOINT|REPOSITORY_DAMAGED|MACHINE_INCOMPATIBLE|STORE_NOT_FOUND)/.test(
    error.code,
  );
}

interface Latest {
  /** What the next checkpoint builds on; undefined where nothing can be read. */
  readonly from: CheckpointEntry | undefined;
  /** After everything that is there, readable or not. */
  readonly nextSequence: number;
  /** Objects that would come after `from` if they were not damaged. */
  readonly damaged: readonly DamagedEntry[];
}

async function findLatest(state: ProtectionState, options: ProtectOptions): Promise<Latest> {
  const machine = state.machine.info.id;
  const listed = await state.repository.list({ machine });
  let newest: CheckpointEntry | undefined;
  for (const entry of listed) {
    if (isIntact(entry) && (!newest || entry.sequence >= newest.sequence)) newest = entry;
  }
  const nextSequence = listed.reduce((next, { sequence }) => Math.max(next, sequence + 1), 0);
  const ours = await ownLatest(state, listed.filter(isIntact));
  if (ours && options.from === undefined) return { from: ours, nextSequence, damaged: [] };
  if (options.from !== undefined)
    return { from: await state.repository.resolve(options.from, { machine }), nextSequence, damaged: [] };
  const head = newest?.sequence ?? -1;
  const after = listed.filter((entry): entry is DamagedEntry => !isIntact(entry) && entry.sequence > head);
  const denied = after.find(({ damaged }) => damaged.code === 'STORE_DENIED');
  // The head itself may be among what we may not read: to go on from another would make a fork of it.
  if (denied && options.resume !== 'never') throw denied.damaged;
  return { from: newest, nextSequence, damaged: after };
}

/** An object that a disk or a network file system failed to give is asked for again before it counts as lost. */
async function loadOrAgain(
  state: ProtectionState,
  from: CheckpointEntry,
  options: CallOptions,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await load(state, from, options);
    } catch (error) {
      const failing = isFitdocError(error, 'STORE_UNAVAILABLE') && isWithheld(error);
      if (!failing || tries === READS) throw error;
      await sleep(READ_AGAIN_MS, undefined, options.signal ? { signal: options.signal } : {});
    }
  }
}

async function load(state: ProtectionState, from: CheckpointEntry, options: CallOptions): Promise<void> {
  const { links, lease } = await holdChain(state.repository, from, 'resuming', options);
  try {
    await loadHeld(state, from, links, options);
  } finally {
    await lease.release();
  }
}

async function loadHeld(
  state: ProtectionState,
  from: CheckpointEntry,
  links: readonly OpenLink[],
  options: CallOptions,
): Promise<void> {
  const { image, memory, pool, depth } = state;
  checkRegions(links, state.machine.info.regions);
  await replay(links, {
    ...options,
    pool,
    cache: new BatchCache(CACHE_BYTES),
    target: { kind: 'image', image: image.handle(), out: hasNoPlace(links, memory.pages) },
    window: { start: 0, count: image.pages },
    onBatch: ({ entry }, batch) => {
      depth.count(batch.gfns, batch.kinds, batch.wordCounts, entry.kind === 'base');
    },
  });
  await memory.trim();
  // How many deltas in a row the chain ends with is not known here, so the next state is stored whole.
  state.head = {
    entry: from,
    deviceState: await readDeviceState(links),
    chainLength: links.length,
    deviceStateDepth: Number.POSITIVE_INFINITY,
  };
  // Of a machine that brings none nothing would be compared with them.
  if (state.machine.supports.disks === true) state.disks = await loadKnownDisks(links, pool, options);
  state.path = links.map(({ entry: { key, bytes } }) => ({ key, bytes }));
}

/** Whether the pages that a chain brings would leave the image no room for captures: they go to the cold file then. */
function hasNoPlace(links: readonly OpenLink[], pages: number): boolean {
  return links.reduce((sum, { entry }) => sum + entry.rawBytes, 0) > (pages * PAGE_SIZE) / 2;
}

function checkRegions(links: readonly OpenLink[], regions: readonly MemoryRegion[]): void {
  const stored = links.at(-1)?.reader.header.machine.regions ?? [];
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
