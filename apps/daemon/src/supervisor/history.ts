import { thin, type Engine, type ThinReport } from '@fitdoc/engine';
import type { CallOptions } from '@fitdoc/interface';
import type { RetentionPolicy } from '@fitdoc/repository';
import type { MachineSettings } from '../config/schema.js';
import type { Chain, PruneResult } from './operations.js';
import { retentionPolicy } from '../config/retention.js';

/** Objects that a restore may read. */
export const BOUND = 64;
/** Merges that one turn in the background does, before other machines have theirs. */
const MERGES_A_TURN = 4;
/** Fewer objects than these are not worth the requests of a removal of their own. */
export const WORTH_REMOVING = 32;

export interface ThinSettings {
  /** Bytes a second for merging. */
  readonly bandwidth: number | undefined;
  /** A piece of the work, or all of it. */
  readonly whole: boolean;
  /** Whether it may take its share of a busy host; asked again and again. */
  readonly isUrgent: () => boolean;
}

/** Without rules everything is kept; its history is made quick to read all the same. */
export function policyOf(settings: MachineSettings): RetentionPolicy {
  return settings.retention ? retentionPolicy(settings.retention) : { keepLast: Number.POSITIVE_INFINITY };
}

/** Merges and removes, a piece or all of it. Undefined for a machine that was never attached. */
export async function thinChain(
  engine: Engine,
  { repository, machineId }: Chain,
  settings: MachineSettings,
  { bandwidth, whole, isUrgent }: ThinSettings,
  options: CallOptions,
): Promise<ThinReport | undefined> {
  if (machineId === undefined) return undefined;
  return thin(engine, repository, machineId, policyOf(settings), {
    ...options,
    ...(bandwidth !== undefined && { bandwidth }),
    isUrgent,
    pace: whole ? 'prompt' : 'lazy',
    ...(!whole && { merges: MERGES_A_TURN, removals: WORTH_REMOVING, waitMs: 0 }),
    ...(settings.compressor !== undefined && { compressor: settings.compressor }),
    ...(settings.level !== undefined && { level: settings.level }),
  });
}

/** What a job that merged and removed answers. */
export function pruneResult(report: ThinReport | undefined): PruneResult {
  return {
    dryRun: false,
    remove: report?.removed.map(({ id }) => id) ?? [],
    keep: report?.plan.keep.length ?? 0,
    removed: report?.removed.length ?? 0,
    freedBytes: report?.freedBytes ?? 0,
    merges: report?.merges ?? 0,
    mergedBytes: report?.writtenBytes ?? 0,
  };
}
