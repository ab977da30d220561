import { performance } from 'node:perf_hooks';
import {
  isFitdocError,
  PAGE_SIZE,
  WORD_SIZE,
  type CallOptions,
  type Harvest,
  type PauseBudget,
} from '@fitdoc/interface';
import type { CheckpointHeader, ContentItem } from '@fitdoc/format';
import type { CheckpointEntry } from '@fitdoc/repository';
import { DiskHarvest, momentsOf } from '../disks/disk-harvest.js';
import { encodePending } from './encode-pending.js';
import type { CheckpointCost, CheckpointResult } from './events.js';
import type { ProtectionState } from './protection-state.js';
import { quiesceMetrics, quiesceNotes } from './quiesced.js';
import { hookMetrics, hookNotes, hookOutcome, withHook } from './with-hook.js';
import type { ReadyHook } from './pause-hook.js';
import type { EncodeResult } from '../workers/tasks.js';

/** Device state is stored as a delta at most this many times in a row, so that reading it stays cheap. */
const MAX_DEVICE_STATE_DELTAS = 15;

export interface TakeOptions extends CallOptions {
  /** Ask the machine for every page, whatever its dirty log says. */
  readonly full?: boolean;
  /** Bound of the pause, for machines that heed one (`supports.pauseBudget`). */
  readonly pauseBudget?: PauseBudget;
}

/**
 * Takes one checkpoint: capture, compare, encode, store, and only then let the machine forget its dirty pages.
 * On failure the harvest is rolled back, and what the image holds beyond the chain's head stays pending: it is
 * part of the next checkpoint.
 */
export async function takeCheckpoint(
  state: ProtectionState,
  options: TakeOptions,
): Promise<CheckpointResult> {
  const started = performance.now();
  state.image.beginCapture();
  const full = options.full === true || state.fullNext;
  const { pauseBudget = state.pauseBudget } = options;
  return withHook(state, options, async (hook) => {
    const captureEnded = state.pool.hurry();
    const more = {
      diskMoments: momentsOf(state.disks),
      ...(pauseBudget && { pauseBudget }),
      ...(hook && { pauseTask: hook }),
      ...(state.quiesce && { quiesce: state.quiesce }),
    };
    const harvest = await state.machine
      .capture(state.image, { ...options, ...more, full })
      .finally(captureEnded);
    const captured = performance.now();
    const { entry, cost } = await storeHarvest(state, harvest, captured - started, hook, options);
    state.fullNext = false;
    await harvest.commit();
    const notes = [...harvest.notes, ...hookNotes(cost.pauseHook), ...quiesceNotes(harvest.quiesced)];
    return { entry, cost: { ...cost, commitMs: performance.now() - captured }, notes };
  });
}

/** The guest runs again: comparing, encoding and storing cost it no pause. */
async function storeHarvest(
  state: ProtectionState,
  harvest: Harvest,
  captureMs: number,
  hook: ReadyHook | undefined,
  options: TakeOptions,
): Promise<{ entry: CheckpointEntry; cost: CostSoFar }> {
  let disks: DiskHarvest | undefined;
  try {
    const started = performance.now();
    disks = diskHarvest(state, harvest);
    if (harvest.kind === 'full') state.image.zeroUnplaced();
    await state.image.settle({
      run: (task) => state.pool.diff(task, options.signal),
      ...(options.signal && { signal: options.signal }),
    });
    const diffMs = performance.now() - started;
    // All that was captured is in the image by now, and stays there if this throws.
    const pauseHook = hook && (await hookOutcome(hook, state));
    const cost = {
      ...costSoFar(state, harvest, captureMs, diffMs),
      ...(pauseHook && { pauseHook }),
      disks: disks.costs,
    };
    return { entry: await store(state, harvest, disks, cost, options), cost };
  } catch (error) {
    disks?.rollback();
    // Captured pages are nowhere any more: the machine has to give them again.
    if (isFitdocError(error) && error.details['coldPagesLost'] !== undefined) state.fullNext = true;
    // An adapter that cannot roll back may have forgotten pages: take all of them next time.
    await harvest.rollback().catch(() => (state.fullNext = true));
    throw error;
  }
}

/** A disk that the chain does not have must come in full. */
function diskHarvest(state: ProtectionState, harvest: Harvest): DiskHarvest {
  try {
    return new DiskHarvest(harvest, state.disks);
  } catch (error) {
    state.fullNext = true;
    throw error;
  }
}

type CostSoFar = Omit<CheckpointCost, 'commitMs'>;

function costSoFar(
  state: ProtectionState,
  harvest: Harvest,
  captureMs: number,
  diffMs: number,
): Omit<CostSoFar, 'disks'> {
  const { placedPages, unchangedPages, changedPages, changedWords } = state.image.captureStats();
  return {
    pauseMs: harvest.pauseMs,
    pausePhases: harvest.pausePhases,
    ...(harvest.pauseBudget && { pauseBudget: harvest.pauseBudget }),
    ...(harvest.quiesced && { quiesced: harvest.quiesced }),
    dirtyPages: placedPages,
    unchangedPages,
    changedPages,
    changedWords,
    captureMs,
    diffMs,
  };
}

async function store(
  state: ProtectionState,
  harvest: Harvest,
  disks: DiskHarvest,
  cost: CostSoFar,
  options: TakeOptions,
): Promise<CheckpointEntry> {
  const { head, image, repository } = state;
  const written: EncodeResult[] = [];
  const entry = await repository.put(
    header(state, harvest, disks),
    content(state, harvest, disks, cost, written, options),
    {
      ...(options.signal && { signal: options.signal }),
    },
  );
  // The put was the commit: the chain's head moves, whatever happens to this process from here on.
  for (const batch of written) {
    state.depth.count(batch.gfns, batch.kinds, batch.wordCounts, head === undefined);
  }
  image.clearPending();
  state.disks = disks.commit();
  state.head = {
    entry,
    deviceState: harvest.deviceState,
    chainLength: (head?.chainLength ?? 0) + 1,
    deviceStateDepth: head && deltaPays(state) ? head.deviceStateDepth + 1 : 0,
  };
  state.path.push({ key: entry.key, bytes: entry.bytes });
  state.nextSequence = entry.sequence + 1;
  return entry;
}

function deltaPays(state: ProtectionState): boolean {
  return state.head !== undefined && state.head.deviceStateDepth < MAX_DEVICE_STATE_DELTAS;
}

function header(
  state: ProtectionState,
  harvest: Harvest,
  disks: DiskHarvest,
): Omit<CheckpointHeader, 'formatVersion'> {
  const { head, machine } = state;
  return {
    machine: machine.info,
    pageSize: PAGE_SIZE,
    wordSize: WORD_SIZE,
    sequence: state.nextSequence,
    createdAtMs: Date.now(),
    capturedAtMs: harvest.capturedAtMs,
    kind: head ? 'increment' : 'base',
    ...(disks.stored && { disks: disks.stored }),
    tool: state.tool,
    ...(head && { parent: { id: head.entry.id, contentHash: head.entry.contentHash } }),
  };
}

async function* content(
  state: ProtectionState,
  harvest: Harvest,
  disks: DiskHarvest,
  cost: CostSoFar,
  written: EncodeResult[],
  options: TakeOptions,
): AsyncGenerator<ContentItem> {
  const { image, pool, depth, settings, head } = state;
  const pending = image.pending().length;
  let done = 0;
  yield* encodePending({
    image,
    pool,
    depth,
    settings,
    signal: options.signal,
    onBatch: (result) => {
      written.push({ ...result, encoded: { ...result.encoded, bytes: new Uint8Array() } });
      done += result.gfns.length;
      options.onProgress?.({ phase: 'storing pages', done, total: pending, unit: 'pages' });
    },
  });
  const { signal, onProgress } = options;
  yield* disks.content({ pool, settings, ...(signal && { signal }), ...(onProgress && { onProgress }) });
  const previous = head && deltaPays(state) ? { previous: head.deviceState } : {};
  yield { type: 'deviceState', state: harvest.deviceState, ...previous };
  yield { type: 'metrics', metrics: metrics(cost, harvest) };
}

function metrics(cost: CostSoFar, harvest: Harvest): Record<string, number | string> {
  return {
    pauseMs: round(cost.pauseMs),
    captureMs: round(cost.captureMs),
    dirtyPages: cost.dirtyPages,
    unchangedPages: cost.unchangedPages,
    changedPages: cost.changedPages,
    captureKind: harvest.kind,
    ...hookMetrics(cost.pauseHook),
    ...quiesceMetrics(harvest.quiesced),
  };
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
