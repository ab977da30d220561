import type { ThinReport } from '@fitdoc/engine';
import type { CheckpointEntry, HistoryPlan, KeptCheckpoint } from '@fitdoc/repository';
import type { HistoryStatus, KeptByRule } from '../model.js';
import { BOUND, WORTH_REMOVING } from './history.js';
import { PointCount } from './point-count.js';
import { steadyNow } from './steady-clock.js';

/** Of a checkpoint, what the way to the newest is reckoned from. */
type Step = Pick<CheckpointEntry, 'sequence' | 'kind' | 'capturedAtMs'>;

/**
 * What is known of one machine's history: as of the last look, with the checkpoints since, and summed up over this run
 * of the daemon. On a busy host the next look may be long in coming: what a restore reads by then must be seen.
 */
export class HistoryRecord {
  readonly points = new PointCount();
  readonly #sums = { merges: 0, mergedBytes: 0, freedBytes: 0, removed: 0 };
  #plan: HistoryPlan | undefined;
  #since: Step[] = [];
  #capturedBytes = 0;
  #reachedMs: number | undefined;

  committed({ sequence, kind, capturedAtMs, bytes }: Step & Pick<CheckpointEntry, 'bytes'>): void {
    this.points.committed(sequence);
    this.#since.push({ sequence, kind, capturedAtMs });
    this.#capturedBytes += bytes;
  }

  /** Listed, without a plan: of a machine that is not merged there is none, and what was listed need not be kept. */
  counted(points: number, newestSequence: number): void {
    const known = this.#since.filter(({ sequence }) => sequence <= newestSequence);
    const plan = this.#plan;
    if (plan) {
      const newest = pathOfNewest(plan, known);
      this.#plan = { ...plan, path: { newest, worst: Math.max(plan.path.worst, newest) } };
    }
    this.#listed(points, newestSequence);
  }

  /** Merged and removed, a piece or all of it. */
  thinned({ plan, merges, writtenBytes, freedBytes, removed }: ThinReport): void {
    this.#plan = plan;
    this.#listed(plan.points.count, plan.points.newestSequence);
    this.#sums.merges += merges;
    this.#sums.mergedBytes += writtenBytes;
    this.removed(removed.length, freedBytes);
    if (plan.isWhole && isReached(plan)) this.#reachedMs = steadyNow();
  }

  #listed(points: number, newestSequence: number): void {
    this.points.listed(points, newestSequence);
    this.#since = this.#since.filter(({ sequence }) => sequence > newestSequence);
  }

  removed(objects: number, bytes: number): void {
    this.#sums.removed += objects;
    this.#sums.freedBytes += bytes;
  }

  /** Undefined before anything was planned. */
  status(): HistoryStatus | undefined {
    const plan = this.#plan;
    if (!plan) return undefined;
    const newest = pathOfNewest(plan, this.#since);
    const worst = Math.max(plan.path.worst, newest);
    return {
      keptPoints: plan.keep.length,
      keptBy: keptBy(plan.keep),
      surplusPoints: Math.max(0, plan.points.count - plan.keep.length),
      ...(this.#reachedMs !== undefined && { reachedAgeMs: Math.round(steadyNow() - this.#reachedMs) }),
      pathObjects: newest,
      worstPathObjects: worst,
      lagObjects: Math.max(0, worst - BOUND),
      lagSeconds: worst > BOUND ? lagSeconds(plan, this.#since) : 0,
      ...this.#sums,
      capturedBytes: this.#capturedBytes,
    };
  }
}

/** What the newest checkpoints move on all the time is never all done, and no removal of a few objects is made. */
function isReached({ jobs, remove }: HistoryPlan): boolean {
  return remove.length < WORTH_REMOVING && jobs.every(({ level }) => level === 'tail');
}

/** Each checkpoint reads an object more than the one before, until a base needs none but itself. */
function pathOfNewest({ path }: HistoryPlan, since: readonly Step[]): number {
  const base = since.findLastIndex(({ kind }) => kind === 'base');
  return base < 0 ? path.newest + since.length : since.length - base;
}

function lagSeconds({ keep: [kept], jobs: [job] }: HistoryPlan, since: readonly Step[]): number {
  const newest = since.at(-1) ?? kept?.entry;
  const oldest = job?.to ?? since[0];
  if (!newest || !oldest) return 0;
  return Math.max(0, newest.capturedAtMs - oldest.capturedAtMs) / 1000;
}

function keptBy(keep: readonly KeptCheckpoint[]): KeptByRule[] {
  const counts = new Map<string, number>();
  for (const { reasons } of keep)
    for (const rule of new Set(reasons.map(ruleOf))) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  return [...counts].map(([rule, points]) => ({ rule, points }));
}

/** Tags count together, whatever their names are. */
function ruleOf(reason: string): string {
  return reason.startsWith('tag ') ? 'tag' : reason;
}
