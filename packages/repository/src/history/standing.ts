import { isDerived, stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import { Calendar } from '../retention/calendar.js';
import { FUTURE_MS } from '../retention/chain-time.js';
import { checkPolicy, type RetentionPolicy } from '../retention/policy.js';
import type { KeptCheckpoint } from '../retention/removal-plan.js';
import { GrowingTree } from './growing-tree.js';
import { isJoined, jobsOfRungs } from './jobs.js';
import type { Rung } from './rungs.js';
import type { StateNode } from './state-tree.js';
import {
  MOST_OBJECTS,
  PLANNED_OBJECTS,
  type HistoryPlan,
  type HistoryRequest,
  type Level,
  type MergeJob,
} from './types.js';
import { BASE_LEVEL, FEW_STATES, MOVING, WholeHistory } from './whole.js';

/** All of a history is looked at again once it has grown by one capture for so many of its objects. */
const OBJECTS_PER_CAPTURE = 10;
/** Captures between two such looks, at least: a short history costs little, and removals want some size. */
const LEAST_CAPTURES = 32;

export interface StandingOptions {
  /** For tests. Default: see above. */
  readonly leastCaptures?: number;
  readonly objectsPerCapture?: number;
}

/** What is known since all of the history was looked at. */
interface Standing {
  plan: HistoryPlan;
  readonly levels: readonly Level[];
  readonly tree: GrowingTree;
  readonly calendar: Calendar;
  /** States of the tree that no rung begins or ends at, or only while the rules that move on still keep them. */
  readonly out: ReadonlySet<string>;
  readonly moving: ReadonlySet<string>;
  readonly keys: Set<string>;
  /** Keys of what can go without anything else here becoming another: all that the plan removes, or nothing. */
  readonly removable: ReadonlySet<string>;
  readonly asked: string;
  /** Milliseconds before the last for which every state is kept, and by which rules. */
  readonly allMs: number;
  readonly reasons: readonly string[];
  /** Captured since, last first. */
  readonly fresh: KeptCheckpoint[];
  open: Rung[];
  most: number;
}

/**
 * Plans one machine's history again and again as it grows. A plan over all of it is made now and then, so that what
 * it costs is spread over the captures since; in between, only the rungs are looked at that the newest captures close.
 * Such a plan asks for the merges that one over the whole would ask for, of these rungs; it removes nothing, and what
 * it says of older states is as of the last look. Where anything is out of the ordinary (forks, tags, clocks, damage,
 * removals, merges other than rungs that are due), the whole is looked at at once.
 */
export class StandingHistory {
  readonly #leastCaptures: number;
  readonly #objectsPerCapture: number;
  #standing: Standing | undefined;

  constructor(options: StandingOptions = {}) {
    this.#leastCaptures = options.leastCaptures ?? LEAST_CAPTURES;
    this.#objectsPerCapture = options.objectsPerCapture ?? OBJECTS_PER_CAPTURE;
  }

  /**
   * `added`, where it is known: what `request.entries` holds more than at the last call, which then holds nothing
   * less. Errors: those of `planHistory`.
   */
  plan(request: HistoryRequest, added?: readonly CheckpointEntry[]): HistoryPlan {
    const standing = this.#standing;
    if (standing?.asked === asked(request)) {
      const more = added ?? addedTo(standing, request.entries);
      const isOver = standing.fresh.length + (more?.length ?? 0) > this.#enough(standing);
      const plan = more && !isOver ? grown(standing, more, request.nowMs) : undefined;
      if (plan) return plan;
    }
    return this.#planWhole(request);
  }

  #enough({ keys }: Standing): number {
    return Math.max(this.#leastCaptures, Math.floor(keys.size / this.#objectsPerCapture));
  }

  #planWhole(request: HistoryRequest): HistoryPlan {
    this.#standing = undefined;
    checkPolicy(request.policy);
    const history = new WholeHistory(request);
    const plan = history.plan();
    this.#standing = standingOf(history, plan, request);
    return plan;
  }
}

/** All that makes another plan of the same objects. */
function asked({ machineId, policy, tags, held, pace, ladder }: HistoryRequest): string {
  const named = tags.map(({ name, contentHash }) => [name, contentHash]);
  return JSON.stringify([
    machineId,
    Object.entries(policy).map(String),
    named,
    [...(held ?? [])],
    pace,
    ladder,
  ]);
}

/** Undefined where something is gone that was not planned to go. */
function addedTo(standing: Standing, entries: readonly CheckpointEntry[]): CheckpointEntry[] | undefined {
  const { keys, removable, plan } = standing;
  const added = entries.filter(({ key }) => !keys.has(key));
  if (entries.length - added.length === keys.size) return added;
  const there = new Set(entries.map(({ key }) => key));
  for (const key of keys) {
    if (there.has(key)) continue;
    if (!removable.has(key)) return undefined;
    keys.delete(key);
  }
  const gone = plan.remove.filter(({ key }) => !there.has(key));
  const { count, newestSequence } = plan.points;
  const states = new Set(gone.map(stateOf));
  for (const entry of entries) states.delete(stateOf(entry));
  const points = { count: count - states.size, newestSequence };
  standing.plan = { ...plan, points, remove: plan.remove.filter(({ key }) => there.has(key)) };
  return added;
}

/** Milliseconds before the last for which every state is kept, and the rules that do. */
function allOf({ keepLast, keepAllForMs = 0, keepWithinMs = 0 }: RetentionPolicy) {
  const rules = [
    ['last', keepLast === Infinity ? Infinity : 0],
    ['within', keepWithinMs],
    ['all', keepAllForMs],
  ] as const;
  const allMs = Math.max(...rules.map(([, spanMs]) => spanMs));
  return { allMs, reasons: rules.filter(([, spanMs]) => spanMs === allMs).map(([name]) => name) };
}

function standingOf(history: WholeHistory, plan: HistoryPlan, request: HistoryRequest): Standing | undefined {
  const { entries, policy, held, pace } = request;
  const head = history.tree.nodes.at(-1);
  const isQuiet = history.isPlain && (held?.size ?? 0) === 0 && (pace ?? 'lazy') === 'lazy';
  if (!head || !isQuiet || plan.path.worst > MOST_OBJECTS || plan.keep.length <= FEW_STATES) return undefined;
  if (head.timeMs !== head.face.capturedAtMs || !(allOf(policy).allMs > 0)) return undefined;
  const levels = history.ladder.levels.filter(({ widthMs }) => widthMs < BASE_LEVEL.widthMs);
  const calendar = new Calendar(policy.timeZone);
  const tree = GrowingTree.of(history.tree, levels, calendar);
  if (!tree) return undefined;
  const [out, moving] = [new Set<string>(), new Set<string>()];
  for (const node of tree.nodes) {
    const { state, face } = node;
    const reasons = history.reasonsOf(node);
    if (!reasons || history.isPinned(state)) out.add(state);
    else if (face === head.face || reasons.every((reason) => MOVING.has(reason))) moving.add(state);
  }
  const rungs = tree.rungs();
  // Whatever else there is to do is planned from the whole.
  const names = new Set(levels.flatMap(({ name }) => [name, `half ${name}`]));
  const states = new Set(rungs.map(({ to }) => to.state));
  if (!plan.jobs.every(({ level, to }) => names.has(level) && states.has(to.contentHash))) return undefined;
  const keys = new Set(entries.map(({ key }) => key));
  const near = new Set(tree.objects());
  const isFar = plan.remove.every((entry) => !near.has(entry));
  const removable = new Set(isFar ? plan.remove.map(({ key }) => key) : []);
  const since = { fresh: [], open: rungs, most: plan.path.worst };
  return {
    plan,
    levels,
    tree,
    calendar,
    out,
    moving,
    keys,
    removable,
    asked: asked(request),
    ...allOf(policy),
    ...since,
  };
}

/** The plan with what has come since; undefined where that is not so plain. */
function grown(
  standing: Standing,
  added: readonly CheckpointEntry[],
  nowMs: number,
): HistoryPlan | undefined {
  const { plan, tree, keys, fresh, allMs } = standing;
  for (const entry of added) {
    if (!takeIn(standing, entry, nowMs)) return undefined;
    keys.add(entry.key);
  }
  const head = tree.nodes.at(-1)!;
  // All that came since is kept by the rules for all, and only those.
  if (plan.keep[0]!.entry.capturedAtMs < head.timeMs - allMs) return undefined;
  const jobs = openJobs(standing, head);
  const newest = tree.objectsOf(head);
  standing.most = Math.max(standing.most, newest);
  if (jobs.length === 0 && newest > PLANNED_OBJECTS) return undefined;
  const goes = new Set(plan.remove);
  if (goes.size > 0 && jobs.some(({ path }) => path.some((entry) => goes.has(entry)))) return undefined;
  const keep = [...fresh].reverse().concat(plan.keep);
  const points = { count: plan.points.count + fresh.length, newestSequence: head.face.sequence };
  return { ...plan, isWhole: false, jobs, keep, points, path: { newest, worst: standing.most } };
}

/** False for what only a look at the whole can place. */
function takeIn(standing: Standing, entry: CheckpointEntry, nowMs: number): boolean {
  const { tree, fresh } = standing;
  if (isDerived(entry)) return tree.derive(entry);
  const head = tree.nodes.at(-1)!;
  const { capturedAtMs, supersedes } = entry;
  if (supersedes || capturedAtMs < head.timeMs || capturedAtMs > nowMs + FUTURE_MS) return false;
  // A base by itself is none of the rungs'.
  if (hourOf(standing, capturedAtMs) !== hourOf(standing, head.timeMs)) return false;
  const closed = tree.capture(entry);
  if (!closed) return false;
  standing.open.push(...closed);
  fresh.push({ entry, reasons: standing.reasons });
  return true;
}

/** Where an hour ends, bases are looked at. */
function hourOf({ calendar }: Standing, timeMs: number): number {
  return Math.floor(calendar.local(timeMs) / BASE_LEVEL.widthMs);
}

function openJobs(standing: Standing, head: StateNode): MergeJob[] {
  const { tree, levels, out, moving, allMs } = standing;
  const stays = ({ state, timeMs }: StateNode) =>
    !out.has(state) && (!moving.has(state) || timeMs >= head.timeMs - allMs);
  standing.open = standing.open.filter(({ level, from, to }) => {
    if (isJoined(from, to, tree) || !stays(from) || !stays(to)) return false;
    return head.timeMs - to.timeMs <= (level.livesMs ?? Infinity);
  });
  return jobsOfRungs(tree, levels, standing.open);
}
