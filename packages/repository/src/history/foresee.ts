import { isDerived, stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import type { HistoryPlan, MergeJob } from './types.js';

/** What a plan comes to once its merges are done and what they replace is gone. */
export interface Foreseen {
  /** Bytes that the store holds less; never below those of what can go now. */
  readonly freedBytes: number;
  /** Whether that depends on how well merges do, which is only known afterwards. */
  readonly isEstimate: boolean;
}

/** Estimates what carrying out a plan over `entries`, all objects of the machine, frees. */
export function foresee(plan: HistoryPlan, entries: readonly CheckpointEntry[]): Foreseen {
  const now = bytesOf(plan.remove);
  if (plan.jobs.length === 0) return { freedBytes: now, isEstimate: false };
  const kept = new Set(plan.keep.map(({ entry }) => stateOf(entry)));
  const goes = new Set(entries.filter((entry) => !kept.has(stateOf(entry))));
  for (const entry of plan.remove) goes.add(entry);
  // A kept state's own increment stands on what goes: the merged one takes its place.
  for (const { role, path } of plan.jobs) if (role !== 'shortcut') for (const entry of path) goes.add(entry);
  const base = Math.max(0, ...entries.filter(({ kind }) => kind === 'base').map(({ bytes }) => bytes));
  const written = plan.jobs.reduce((sum, job) => sum + outputOf(job, base), 0);
  return { freedBytes: Math.max(now, bytesOf([...goes]) - written), isEstimate: true };
}

/** At most what its inputs take, and hardly more than a base: what they share is written once. */
function outputOf({ parent, path }: MergeJob, base: number): number {
  if (parent === undefined)
    return path.find((entry) => !isDerived(entry) && entry.kind === 'base')?.bytes ?? base;
  return Math.min(bytesOf(path), base);
}

function bytesOf(entries: readonly CheckpointEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}
