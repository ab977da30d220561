import type { DerivedRole } from '@fitdoc/format';
import type { CheckpointEntry } from '../catalogue/entry.js';
import type { Tag } from '../catalogue/tags.js';
import type { KnownTimes } from '../retention/chain-time.js';
import type { RetentionPolicy } from '../retention/policy.js';
import type { KeptCheckpoint } from '../retention/removal-plan.js';

/** Reading any kept state opens at most so many objects, while merging keeps up. */
export const MOST_OBJECTS = 64;

/**
 * So many objects are planned for. The rest is slack for a merger that is behind: about as many captures can be taken
 * before its newest object is there.
 */
export const PLANNED_OBJECTS = 58;

/** Objects that one merge reads at most; longer ways are merged in pieces first. */
export const MOST_INPUTS = 128;

/**
 * When to merge what the next captures will move on: `lazy` in pieces that are worth it, `prompt` in smaller ones so
 * that few restore points are left which no rule keeps, `exact` all of it now, whatever that writes.
 */
export type Pace = 'lazy' | 'prompt' | 'exact';

/** What a plan is made from. Everything is of one machine. */
export interface HistoryRequest {
  readonly machineId: string;
  /** All objects that can be read, derived ones included once they are durable and were read back. */
  readonly entries: readonly CheckpointEntry[];
  readonly policy: RetentionPolicy;
  readonly tags: readonly Tag[];
  /** What leases hold: content hashes of states, and keys of objects. */
  readonly held?: ReadonlySet<string>;
  /** Milliseconds since 1970, by the clock here. */
  readonly nowMs: number;
  /** Default: chosen from what was measured on this machine; see `chooseLadder`. */
  readonly ladder?: Ladder;
  /** Default `lazy`. */
  readonly pace?: Pace;
  /** The `times` of the plan that this run began with. */
  readonly times?: KnownTimes;
}

/** One rung: a merged increment from the last state of a stretch of time to the last state of the next. */
export interface Level {
  readonly name: string;
  /** Milliseconds; stretches begin at whole multiples on the zone's clocks, so that they nest. */
  readonly widthMs: number;
  /** Where a stretch has a short cut to its middle: after so many milliseconds of it. */
  readonly halfMs?: number;
  /** Milliseconds after which its objects are not needed any more, where that is before the states are. */
  readonly livesMs?: number;
}

export interface Ladder {
  /** Fine to coarse. */
  readonly levels: readonly Level[];
  /** Most objects that reading a state takes, as far as the ladder can tell. */
  readonly pathObjects: number;
  /** Bytes that its merges write for each byte captured, estimated. */
  readonly writtenShare: number;
}

/** One object to make: reads `path`, base-most first, and shows the state of `to`. */
export interface MergeJob {
  readonly role: DerivedRole;
  /** The rung's name, or what else it is for: `base`, `catch-up`, `side`. */
  readonly level: string;
  readonly to: CheckpointEntry;
  /** Content hash of the state that the object will stand on; undefined for a base. */
  readonly parent: string | undefined;
  readonly path: readonly CheckpointEntry[];
}

export interface HistoryPlan {
  readonly machineId: string;
  /** False where older states are as a standing plan saw them when it last looked at all; see `StandingHistory`. */
  readonly isWhole: boolean;
  /** Most urgent first. */
  readonly jobs: readonly MergeJob[];
  /** What can go now, a child before its parent: every state to keep has a way without it. */
  readonly remove: readonly CheckpointEntry[];
  /** The restore points that stay and why, last first. */
  readonly keep: readonly KeptCheckpoint[];
  /** Restore points that there are, kept or not, and the newest one's number; -1 where there is none. */
  readonly points: { readonly count: number; readonly newestSequence: number };
  /** Objects that reading takes after the removals: the newest state, and the worst of those kept. */
  readonly path: { readonly newest: number; readonly worst: number };
  readonly ladder: Ladder;
  /** Kept restore points whose dates are in the future: a clock stood wrong. */
  readonly future: readonly CheckpointEntry[];
  /** When states were taken, as this plan has it. */
  readonly times: KnownTimes;
}
