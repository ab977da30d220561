import { isFitdocError, throwIfAborted, type CallOptions, type FitdocError } from '@fitdoc/interface';
import { isDerived, isIntact, type CheckpointEntry } from '../catalogue/entry.js';
import { Lineage } from '../catalogue/lineage.js';
import { explainHole } from '../catalogue/unreadable.js';
import type { Lease } from '../locks/lease.js';
import type { Repository } from '../repository.js';
import { checkSameKey, copyAsIs } from './as-is.js';
import { checkedObject, checkObject, isDamage } from './object.js';
import { place } from './place.js';

/** Often enough for any luck: each attempt looks at what is there anew. */
const ATTEMPTS = 8;

export interface CopyOptions extends CallOptions {
  /** Take the tags of what is copied along. Default true. */
  readonly tags?: boolean;
  /**
   * Read what the other repository has already, too, and replace what is damaged. Default false: only what its list
   * shows as damaged is replaced.
   */
  readonly heal?: boolean;
  /**
   * Leave out what is damaged here, with what builds on it, and tell of it in the report. Default false: the first
   * such error ends the copy.
   */
  readonly skipDamaged?: boolean;
  /**
   * Pass sealed objects on as they are, without opening and so without verifying them: between encrypted repositories
   * of the same key. Default false.
   */
  readonly asIs?: boolean;
}

export interface CopyReport {
  readonly copied: readonly CheckpointEntry[];
  /** Those of the copied that took the place of a damaged object. */
  readonly healed: readonly CheckpointEntry[];
  /** Those that the other repository had already. */
  readonly present: readonly CheckpointEntry[];
  /** Those that could not be copied because they, or what they build on, are damaged here. */
  readonly damaged: readonly { readonly entry: CheckpointEntry; readonly error: FitdocError }[];
  readonly bytes: number;
  /** How many of the copied were passed on sealed, and not verified. */
  readonly asIs: number;
  readonly tags: readonly string[];
}

/**
 * Copies checkpoints with all that they build on into another repository, base first, so that at every moment
 * each checkpoint there has its whole chain. Every record is verified on its way: an object that is damaged is
 * not stored. What is there already is left out, so a copy that was broken off goes on where it stopped; what is
 * there but damaged is replaced, once the whole of the good object was verified (with `asIs` nothing is).
 * Errors: FORMAT_*, REPOSITORY_*, those of both stores. What was copied before an error stays.
 */
export async function copyCheckpoints(
  from: Repository,
  to: Repository,
  entries: readonly CheckpointEntry[],
  options: CopyOptions = {},
): Promise<CopyReport> {
  const call = options.signal ? { signal: options.signal } : {};
  if (options.asIs) checkSameKey(from, to);
  const outcome: Outcome = { copied: new Map(), healed: new Map(), damaged: new Map(), asIs: new Set() };
  for (let attempt = 1; ; attempt++) {
    const wanted = await withAncestors(from, entries, outcome, options);
    const leases = await holdAll(from, to, wanted, call);
    try {
      return await copyWanted({ from, to, wanted, outcome }, options);
    } catch (error) {
      // Some of it was merged or removed before our lease stood: the same states are elsewhere now.
      if (!isFitdocError(error, 'STORE_NOT_FOUND') || attempt >= ATTEMPTS) throw error;
    } finally {
      for (const lease of leases) await lease.release();
    }
  }
}

/** By the objects' hashes, the damaged by the states': what became of checkpoints by now, in earlier attempts too. */
interface Outcome {
  readonly copied: Map<string, CheckpointEntry>;
  readonly healed: Map<string, CheckpointEntry>;
  readonly damaged: Map<string, { readonly entry: CheckpointEntry; readonly error: FitdocError }>;
  readonly asIs: Set<string>;
}

interface Copying {
  readonly from: Repository;
  readonly to: Repository;
  readonly wanted: readonly CheckpointEntry[];
  readonly outcome: Outcome;
}

async function copyWanted(copying: Copying, options: CopyOptions): Promise<CopyReport> {
  const { from, to, wanted, outcome } = copying;
  const call = options.signal ? { signal: options.signal } : {};
  if (wanted.some(isDerived)) await to.allowDerived(call);
  const there = await thereIn(to, call);
  const present: CheckpointEntry[] = [];
  const total = wanted.reduce((sum, entry) => sum + entry.bytes, 0);
  let done = 0;
  for (const entry of wanted) {
    throwIfAborted(options.signal);
    try {
      const broken = outcome.damaged.get(entry.parentContentHash ?? '');
      if (broken) throw broken.error;
      const was = await copyOne(copying, there, entry, options);
      if (was === 'present' && !outcome.copied.has(entry.objectHash)) present.push(entry);
    } catch (error) {
      if (!options.skipDamaged || !isDamage(error)) throw error;
      outcome.damaged.set(entry.contentHash, { entry, error });
    }
    done += entry.bytes;
    options.onProgress?.({ phase: 'copying', done, total, unit: 'bytes' });
  }
  const [copied, healed] = [[...outcome.copied.values()], [...outcome.healed.values()]];
  const tags = options.tags === false ? [] : await copyTags(from, to, [...copied, ...present], call);
  const bytes = copied.reduce((sum, entry) => sum + entry.bytes, 0);
  return {
    copied,
    healed,
    present,
    damaged: [...outcome.damaged.values()],
    bytes,
    asIs: outcome.asIs.size,
    tags,
  };
}

async function copyOne(
  { from, to, outcome }: Copying,
  there: There,
  entry: CheckpointEntry,
  options: CopyOptions,
): Promise<'present' | 'copied'> {
  const call = options.signal ? { signal: options.signal } : {};
  const known = there.intact.get(entry.objectHash);
  if (known && (!options.heal || (await isGood(to, known, call)))) return 'present';
  const damagedKey = known?.key ?? (there.damaged.has(entry.key) ? entry.key : undefined);
  const isItsPlace = damagedKey === undefined || damagedKey === entry.key;
  const mode = damagedKey === undefined ? 'absent' : 'replace';
  if (options.asIs && isItsPlace && (await copyAsIs(from, to, entry, { ...call, mode })))
    outcome.asIs.add(entry.objectHash);
  else await place(to, entry, damagedKey, () => checkedObject(from.store, entry, call), call);
  outcome.copied.set(entry.objectHash, entry);
  if (damagedKey !== undefined) outcome.healed.set(entry.objectHash, entry);
  return 'copied';
}

async function isGood(to: Repository, known: CheckpointEntry, call: CallOptions): Promise<boolean> {
  try {
    await checkObject(to.store, known, call);
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

/** What the other repository has: entries by their objects' hashes, and keys of objects that cannot be read as checkpoints. */
interface There {
  readonly intact: ReadonlyMap<string, CheckpointEntry>;
  readonly damaged: ReadonlySet<string>;
}

async function thereIn(to: Repository, call: CallOptions): Promise<There> {
  const listed = await to.objects(call);
  const intact = listed.filter(isIntact).map((entry) => [entry.objectHash, entry] as const);
  const damaged = listed.filter((entry) => !isIntact(entry)).map(({ key }) => key);
  return { intact: new Map(intact), damaged: new Set(damaged) };
}

/** In both repositories, where what is yet to come can be named as well. */
async function holdAll(
  from: Repository,
  to: Repository,
  wanted: readonly CheckpointEntry[],
  call: CallOptions,
): Promise<Lease[]> {
  const leases: Lease[] = [];
  try {
    for (const machine of new Set(wanted.map((entry) => entry.machineId))) {
      const entries = wanted.filter((entry) => entry.machineId === machine);
      leases.push(await from.hold(entries, 'copy', { ...call, evenIfFull: true }));
      leases.push(await to.hold(entries, 'copy', call));
    }
    return leases;
  } catch (error) {
    for (const lease of leases) await lease.release();
    throw error;
  }
}

async function withAncestors(
  from: Repository,
  entries: readonly CheckpointEntry[],
  outcome: Outcome,
  options: CopyOptions,
): Promise<CheckpointEntry[]> {
  const call = options.signal ? { signal: options.signal } : {};
  const wanted = new Map<string, CheckpointEntry>();
  for (const machine of new Set(entries.map((entry) => entry.machineId))) {
    const listed = await from.objects({ machine, ...call });
    const lineage = new Lineage(listed.filter(isIntact));
    for (const entry of entries.filter((each) => each.machineId === machine)) {
      try {
        for (const link of lineage.chain(entry)) wanted.set(link.key, link);
      } catch (caught) {
        const error = explainHole(caught, listed);
        if (!options.skipDamaged || !isDamage(error)) throw error;
        outcome.damaged.set(entry.contentHash, { entry, error });
      }
    }
  }
  return [...wanted.values()].sort((one, other) => one.sequence - other.sequence);
}

async function copyTags(
  from: Repository,
  to: Repository,
  entries: readonly CheckpointEntry[],
  call: CallOptions,
): Promise<string[]> {
  const byHash = new Map(entries.map((entry) => [entry.contentHash, entry]));
  const named: string[] = [];
  for (const tag of await from.tags.list(call)) {
    const entry = byHash.get(tag.contentHash);
    if (!entry) continue;
    await to.tags.set(tag.name, entry, call);
    named.push(tag.name);
  }
  return named;
}
