import { isDerived, stateOf, type CheckpointEntry } from '../catalogue/entry.js';
import { Lineage } from '../catalogue/lineage.js';
import { lastFirst } from '../catalogue/order.js';
import { Calendar } from '../retention/calendar.js';
import { chainTimes, type KnownTimes } from '../retention/chain-time.js';
import { applyPolicy } from '../retention/policy.js';
import { tagsToKeep } from '../retention/prune.js';
import { leafFirst, type KeptCheckpoint } from '../retention/removal-plan.js';
import { anchorAt } from './anchors.js';
import { boundJobs } from './bound.js';
import { Bridges, nearestBelow } from './bridges.js';
import { isJoined, jobsBetween, jobsOfRungs } from './jobs.js';
import { chooseObjects, type KeepSet } from './keep-set.js';
import { chooseLadder, measureOverlap } from './ladder.js';
import { Rungs, type Rung } from './rungs.js';
import { StateTree, type StateNode } from './state-tree.js';
import { gapUnder, tailUnder, type TailRules } from './tail.js';
import type { HistoryPlan, HistoryRequest, Ladder, Level, MergeJob } from './types.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Bases are looked at where hours end, whatever rungs a ladder has. */
export const BASE_LEVEL: Level = { name: 'base', widthMs: HOUR_MS };
const DAY_LEVEL: Level = { name: 'day of bases', widthMs: DAY_MS };
const NEAR_BASES_MS = 3 * HOUR_MS;
const DAYS_OF_BASES_MS = 3 * DAY_MS;
/** A way to a fork's first state that is longer than this leaves too little for the fork's own. */
const URGENT_OBJECTS = 24;
/** So few kept states are within the bound without rungs, which would hardly live longer than they take to make. */
export const FEW_STATES = 20;
/** Rules whose oldest state is another one after each capture. */
export const MOVING = new Set(['last', 'within', 'all']);

/** One machine's history, all of it looked at. */
export class WholeHistory {
  readonly ladder: Ladder;
  readonly tree: StateTree;
  /** Whether every date is one that its order and the clock here bear out. */
  readonly isPlain: boolean;
  readonly #future: readonly CheckpointEntry[];
  readonly #times: KnownTimes;
  readonly #request: HistoryRequest;
  readonly #lineage: Lineage;
  readonly #rungs: Rungs;
  /** Why restore points stay, by their faces. */
  readonly #reasons: Map<CheckpointEntry, string[]>;
  /** States that keep a way. */
  readonly #needed = new Set<StateNode>();
  /** Those of them that main ways do not run through: they are kept for another reason than the policy. */
  readonly #pinned = new Set<StateNode>();
  readonly #headMs: number;
  readonly #spanMs: number;
  /** The nearest states below each that the main ways run through. */
  readonly #below: ReadonlyMap<StateNode, StateNode>;
  /** The last states before the hours of lines that are still growing: the bases under these are brought forward to them. */
  readonly #growing: ReadonlySet<StateNode>;
  readonly #tail: TailRules;

  constructor(request: HistoryRequest) {
    const { entries, policy, nowMs } = request;
    this.#request = request;
    this.#lineage = new Lineage(entries);
    const states = this.#lineage.states();
    const times = chainTimes(states, nowMs, request.times);
    this.#times = times.known;
    this.tree = new StateTree(this.#lineage, (entry) => times.timeOf(entry));
    this.#reasons = applyPolicy(states, policy, times);
    this.#pin(states);
    this.#below = nearestBelow(this.tree, (node) => this.#needed.has(node) && !this.#pinned.has(node));
    this.#future = times.future.filter((entry) => this.#reasons.has(entry));
    this.isPlain = times.future.length === 0;
    const overlap = measureOverlap(entries, times);
    this.#tail = { captureBytes: overlap.captureBytes, pace: request.pace ?? 'lazy' };
    this.ladder = request.ladder ?? chooseLadder(policy, overlap);
    const levels = [...this.ladder.levels, BASE_LEVEL, DAY_LEVEL];
    this.#rungs = new Rungs(this.tree, levels, new Calendar(policy.timeZone));
    this.#headMs = this.tree.nodes.at(-1)?.timeMs ?? 0;
    const oldest = this.tree.nodes.find((node) => this.#needed.has(node));
    this.#spanMs = this.#headMs - (oldest?.timeMs ?? this.#headMs);
    this.#growing = this.#underGrowing();
  }

  plan(): HistoryPlan {
    const keep = this.#keepSet();
    const jobs = this.#jobs();
    return {
      machineId: this.#request.machineId,
      isWhole: true,
      jobs,
      remove: this.#removable(keep, jobs),
      keep: this.#report(),
      points: this.#points(),
      path: this.#path(keep),
      ladder: this.ladder,
      future: this.#future,
      times: this.#times,
    };
  }

  /** Why a state stays, when a rule, a tag, a fork or a lease keeps it. */
  reasonsOf({ face }: StateNode): readonly string[] | undefined {
    return this.#reasons.get(face);
  }

  /** Whether a state is kept for another reason than the policy. */
  isPinned(state: string): boolean {
    const node = this.tree.at(state);
    return node !== undefined && this.#pinned.has(node);
  }

  /** Tags, leases and forks keep states that the policy may not. */
  #pin(states: readonly CheckpointEntry[]): void {
    const { tags, policy, held } = this.#request;
    const pin = (face: CheckpointEntry | undefined, reason: string) => {
      if (!face) return;
      const node = this.tree.at(face.contentHash);
      if (node && !this.#reasons.has(face)) this.#pinned.add(node);
      this.#reasons.set(face, [...(this.#reasons.get(face) ?? []), reason]);
    };
    for (const tag of tagsToKeep(tags, policy)) pin(this.#lineage.face(tag.contentHash), `tag ${tag.name}`);
    for (const face of states) if (held?.has(face.contentHash)) pin(face, 'in use');
    for (const node of this.tree.nodes) {
      const branches = node.children.filter((child) =>
        child.objects.some((entry) => this.#follows(entry, node)),
      );
      if (branches.length > 1) pin(node.face, 'forked from');
    }
    for (const face of this.#reasons.keys()) {
      const node = this.tree.at(face.contentHash);
      if (node) this.#needed.add(node);
    }
  }

  #follows(entry: CheckpointEntry, node: StateNode): boolean {
    if (isDerived(entry) || entry.parentContentHash === undefined) return false;
    return this.tree.at(entry.parentContentHash) === node;
  }

  #keepSet(): KeepSet {
    const edges = new Set<string>();
    return chooseObjects(this.tree, this.#needed, (entry, node) => {
      if (!this.#wants(entry, node)) return false;
      const edge = `${entry.parentContentHash}>${node.state}`;
      if (edges.has(edge)) return false;
      edges.add(edge);
      return true;
    });
  }

  #wants(entry: CheckpointEntry, node: StateNode): boolean {
    const ageMs = this.#headMs - node.timeMs;
    if (entry.parentContentHash === undefined) return isDerived(entry) && this.#isNear(node, ageMs);
    const parent = this.tree.at(entry.parentContentHash);
    if (!parent || !this.#needed.has(node) || !this.#needed.has(parent)) return false;
    if (this.#pinned.has(parent) && !this.#pinned.has(node) && !this.#follows(entry, parent)) return false;
    // Between two that stay with none between: the main way, whatever else it was made as.
    if (!isDerived(entry) || this.#below.get(node) === parent) return true;
    const levels = this.ladder.levels.filter((level) => this.#rungs.before(level, node) === parent);
    if (levels.length > 0) return levels.some(({ livesMs }) => ageMs <= (livesMs ?? Infinity));
    return this.#isAnchor(node) ? this.#isNear(node, ageMs) : true;
  }

  /**
   * All bases of the last hours, and the last of each of the last days: restores of the recent past begin there. Also
   * those under what is growing, however old: what goes though it is asked for would be made again and again.
   */
  #isNear(node: StateNode, ageMs: number): boolean {
    if (this.#growing.has(node)) return true;
    if (ageMs <= Math.min(NEAR_BASES_MS, this.#spanMs)) return true;
    if (ageMs > Math.min(DAYS_OF_BASES_MS, this.#spanMs)) return false;
    return node.children.some((child) => this.#rungs.before(DAY_LEVEL, child) === node);
  }

  #isAnchor(node: StateNode): boolean {
    return node.children.some((child) => this.#rungs.before(BASE_LEVEL, child) === node);
  }

  /** What a job is still to read stays as well. */
  #removable(keep: KeepSet, jobs: readonly MergeJob[]): CheckpointEntry[] {
    const inputs = new Set(jobs.flatMap(({ path }) => path));
    const { entries, held } = this.#request;
    const broken = this.#brokenToKeep();
    const stays = (entry: CheckpointEntry) =>
      keep.objects.has(entry) || inputs.has(entry) || broken.has(entry) || held?.has(entry.key) === true;
    return leafFirst(entries.filter((entry) => !stays(entry)));
  }

  /** Kept restore points that cannot be read, and what is left of their ways: what is missing may be brought back. */
  #brokenToKeep(): Set<CheckpointEntry> {
    const broken = new Set<CheckpointEntry>();
    for (const face of this.#reasons.keys()) {
      if (this.tree.at(face.contentHash)) continue;
      for (let at: CheckpointEntry | undefined = face; at && !broken.has(at); at = this.#lineage.parentOf(at))
        broken.add(at);
    }
    return broken;
  }

  #report(): KeptCheckpoint[] {
    const kept = [...this.#reasons].map(([entry, reasons]) => ({ entry, reasons }));
    return kept.sort((one, other) => lastFirst(one.entry, other.entry));
  }

  #points(): HistoryPlan['points'] {
    const states = this.#lineage.states();
    const newestSequence = states.reduce((newest, { sequence }) => Math.max(newest, sequence), -1);
    return { count: states.length, newestSequence };
  }

  #path(keep: KeepSet): { newest: number; worst: number } {
    const objects = (node: StateNode | undefined) =>
      (node && keep.ways.get(stateOf(node.face))?.objects) ?? 0;
    let worst = 0;
    for (const node of this.#needed) worst = Math.max(worst, objects(node));
    return { newest: objects(this.tree.nodes.at(-1)), worst };
  }

  #jobs(): MergeJob[] {
    const rungs = [...this.#rungs.all()].filter((rung) => this.#isDue(rung));
    const byLevel = jobsOfRungs(this.tree, this.ladder.levels, rungs);
    const anchors = this.#anchors();
    const urgent = anchors.filter((job) => job.path.length > URGENT_OBJECTS);
    const others = anchors.filter((job) => !urgent.includes(job));
    const planned = [...urgent, ...byLevel, ...others];
    const catchUp = this.#catchUp();
    return distinct([
      ...planned,
      ...boundJobs(this.tree, this.#needed, [...planned, ...catchUp]),
      ...catchUp,
    ]);
  }

  #isDue({ level, from, to }: Rung): boolean {
    if (this.#needed.size <= FEW_STATES || !this.ladder.levels.includes(level)) return false;
    if (!this.#needed.has(from) || !this.#needed.has(to)) return false;
    if (this.#pinned.has(from) || this.#pinned.has(to)) return false;
    return this.#headMs - to.timeMs <= (level.livesMs ?? Infinity);
  }

  #anchors(): MergeJob[] {
    return [...this.#growing].flatMap((node) => anchorAt(this.tree, node));
  }

  #underGrowing(): ReadonlySet<StateNode> {
    const leaves = this.tree.nodes.filter(
      (node) =>
        node.children.length === 0 && this.#headMs - node.timeMs <= HOUR_MS && !this.#pinned.has(node),
    );
    const under = leaves.flatMap((leaf) => this.#rungs.before(BASE_LEVEL, leaf) ?? []);
    return new Set(under.filter((node) => this.#needed.has(node)));
  }

  /** Ways of kept states over what is not kept any more: after thinning, beside tags, behind the oldest. */
  #catchUp(): MergeJob[] {
    const bridges = new Bridges(this.tree);
    const jobs: MergeJob[] = [];
    for (const node of this.tree.nodes) {
      if (!this.#needed.has(node) || this.#standsOnNeeded(node)) continue;
      const below = this.#below.get(node);
      if (below && !isJoined(below, node, this.tree)) {
        const level = this.#pinned.has(node) ? 'side' : 'catch-up';
        const { pace } = this.#tail;
        const isBridged = pace !== 'exact' && bridges.over(below, node);
        if (!this.#isMoving(node)) jobs.push(...jobsBetween(this.tree, below, node, 'merged', level));
        else if (!isBridged) jobs.push(...gapUnder(this.tree, below, node, pace));
      } else if (!below) {
        // A tag does not move on: what is merged under it is merged once.
        const rules = this.#pinned.has(node) ? { ...this.#tail, pace: 'exact' as const } : this.#tail;
        jobs.push(...tailUnder(this.tree, node, rules));
      }
    }
    return jobs;
  }

  /** Whether the lowest state of a stretch is soon another one, so that what is merged into it is merged again. */
  #isMoving(node: StateNode): boolean {
    if (this.#pinned.has(node)) return false;
    const reasons = this.#reasons.get(node.face) ?? [];
    return node.children.length === 0 || reasons.every((reason) => MOVING.has(reason));
  }

  #standsOnNeeded(node: StateNode): boolean {
    return node.objects.some((entry) => {
      if (entry.parentContentHash === undefined) return false;
      return this.#wants(entry, node);
    });
  }
}

/** The same object may be asked for by several rules. */
function distinct(jobs: readonly MergeJob[]): MergeJob[] {
  const seen = new Set<string>();
  return jobs.filter(({ to, parent }) => {
    const edge = `${parent}>${to.contentHash}`;
    if (seen.has(edge)) return false;
    seen.add(edge);
    return true;
  });
}
