import type { AdapterRegistry } from '@fitdoc/adapters';
import {
  bootVerify,
  restore,
  verifyHeld,
  type BootProbes,
  type BootReport,
  type Engine,
  type VerifyReport,
} from '@fitdoc/engine';
import { FitdocError, type CallOptions, type LazyReport, type RestoreReport } from '@fitdoc/interface';
import { type CheckpointEntry, type Repository } from '@fitdoc/repository';
import type { MachineSettings } from '../config/schema.js';
import { retentionPolicy } from '../config/retention.js';
import type { JobContext } from './jobs.js';
import { untilItRuns } from './until-it-runs.js';

/** A machine's checkpoints: where they are, and under which name. */
export interface Chain {
  readonly repository: Repository;
  /** Undefined before the machine was attached for the first time. */
  readonly machineId: string | undefined;
}

/** The checkpoint of this machine, and of no other, that a spec names. Errors: those of `Repository.resolve`. */
export async function findCheckpoint(
  { repository, machineId }: Chain,
  spec: string,
  { signal }: CallOptions,
): Promise<CheckpointEntry> {
  if (machineId !== undefined)
    return repository.resolve(spec, { machine: machineId, ...(signal && { signal }) });
  throw new FitdocError('CHECKPOINT_NOT_FOUND', 'The machine was never attached and has no checkpoints.', {
    hint: 'Its status says what is in the way.',
  });
}

/** Checks a machine's checkpoints, damaged ones included, while nobody may remove them. */
export async function verifyChain(
  { repository, machineId }: Chain,
  share: number,
  options: CallOptions,
): Promise<VerifyReport> {
  if (machineId === undefined) return { checkpoints: 0, records: 0, bytes: 0, findings: [] };
  const { signal } = options;
  const all = { machine: machineId, audit: true, ...(signal && { signal }) };
  // All objects: of those that show one state, a restore may read any.
  const list = async () => ({ entries: await repository.objects(all) });
  const { entries: _, ...report } = await verifyHeld(repository, list, { data: share, ...options });
  // Derived data, which is looked after while all of it is looked at.
  await repository.maintain(all).catch(() => undefined);
  return report;
}

/** Starts the machine of the newest checkpoint apart from everything; undefined before there is one. */
export async function bootChain(
  { repository, machineId }: Chain,
  settings: MachineSettings,
  { engine, registry }: { readonly engine: Engine; readonly registry: AdapterRegistry },
  options: CallOptions,
): Promise<(BootReport & { readonly checkpoint: string }) | undefined> {
  const { signal } = options;
  const points = await repository.checkpoints({ machine: machineId ?? '-', ...(signal && { signal }) });
  const entry = machineId === undefined ? undefined : points.at(-1);
  if (!entry) return undefined;
  const { hypervisor } = await registry.hypervisorFor(`${entry.scheme}:`);
  const request = { repository, entry, hypervisor, probes: probesOf(settings) };
  const { report } = await bootVerify(engine, request, options);
  return { ...report, checkpoint: entry.id };
}

function probesOf(settings: MachineSettings): BootProbes {
  const seconds = settings['verify-boot-for'] / 1000;
  const shown = settings['verify-boot-console'];
  const port = settings['verify-boot-tcp'];
  const banner = settings['verify-boot-banner'];
  return {
    ...{ seconds, withinSeconds: Math.max(60, seconds) },
    ...(shown !== undefined && { console: new RegExp(shown, 'm') }),
    ...(port && { tcp: { ...port, ...(banner !== undefined && { banner: new RegExp(banner, 'm') }) } }),
  };
}

export interface PruneResult {
  readonly dryRun: boolean;
  /** Ids, in the order of removal. */
  readonly remove: readonly string[];
  readonly keep: number;
  readonly removed: number;
  readonly freedBytes: number;
  /** Checkpoints made of others, and their bytes. */
  readonly merges: number;
  readonly mergedBytes: number;
}

const NOT_MERGED = { merges: 0, mergedBytes: 0 };

/** Removes what the machine's retention rules do not keep. Errors: ARGUMENT_INVALID when it has none. */
export async function pruneChain(
  { repository, machineId }: Chain,
  name: string,
  settings: MachineSettings,
  dryRun: boolean,
  options: CallOptions,
): Promise<PruneResult> {
  if (!settings.retention) {
    throw new FitdocError('ARGUMENT_INVALID', `The machine ${name} has no retention rules.`, {
      hint: `Add them to the configuration: [machines.${name}.retention] with keep-last = 100, say.`,
    });
  }
  if (machineId === undefined)
    return { dryRun, remove: [], keep: 0, removed: 0, freedBytes: 0, ...NOT_MERGED };
  const policy = retentionPolicy(settings.retention);
  const { signal } = options;
  const report = await repository.prune(policy, { machine: machineId, dryRun, ...(signal && { signal }) });
  return {
    dryRun,
    remove: report.machines.flatMap(({ remove }) => remove.map(({ id }) => id)),
    keep: report.machines.reduce((sum, { keep }) => sum + keep.length, 0),
    removed: report.removed,
    freedBytes: report.freedBytes,
    ...NOT_MERGED,
  };
}

export interface RestoreWish {
  /** An id, a tag, `latest~2`, a time. */
  readonly checkpoint: string;
  /** scheme:location. */
  readonly to: string;
  /** Whether a file there may be replaced. */
  readonly force?: boolean;
  /** Whether the guest runs before its memory is there, or not at all; absent: where it can be and the store is near. */
  readonly lazy?: boolean | undefined;
}

/**
 * Brings a machine back elsewhere, or in its place when that is free. Once a guest runs whose memory is still to come,
 * nothing but a hurry cancels it: it would wait for ever.
 */
export async function restoreChain(
  { repository, machineId }: Chain,
  { checkpoint, to, force = false, lazy }: RestoreWish,
  { engine, registry }: { readonly engine: Engine; readonly registry: AdapterRegistry },
  { signal, hurry, onProgress }: JobContext,
): Promise<RestoreOutcome> {
  const entry = await findCheckpoint({ repository, machineId }, checkpoint, { signal });
  const { hypervisor, rest } = await registry.hypervisorFor(to);
  const guest = untilItRuns(signal, hurry);
  try {
    const { lazy: times, ...report } = await restore(
      engine,
      { repository, entry, hypervisor, location: rest, lazy: lazy ?? 'auto' },
      { ...guest.options(onProgress), replace: force },
    );
    // Which pages it asked for is for the next restore.
    const { asked: _, ...told } = times ?? { asked: [] };
    return { checkpoint: entry.id, ...report, ...(times && { lazy: told as Omit<LazyReport, 'asked'> }) };
  } finally {
    guest.forget();
  }
}

export interface RestoreOutcome extends Omit<RestoreReport, 'lazy'> {
  readonly checkpoint: string;
  readonly lazy?: Omit<LazyReport, 'asked'>;
}
