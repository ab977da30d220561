import {
  StandingHistory,
  type CheckpointEntry,
  type HistoryPlan,
  type MergeJob,
  type RetentionPolicy,
} from '@fitdoc/repository';
import { syntheticEntry } from '../../../../packages/repository/test/support/synthetic-store.js';
import type { Growth } from './growth.js';

const SECOND = 1_000;

/**
 * A history whose objects are drawn: what each weighs is told by how many seconds it holds, and by a measured guest.
 * The planner is the real one; merges read and write in numbers only.
 */
export class DrawnHistory {
  readonly written = { captured: 0, merged: 0 };
  /** Seconds since the first capture. */
  seconds = -1;
  plans = { whole: 0, all: 0, ms: 0 };
  readonly #standing = new StandingHistory();
  #entries: CheckpointEntry[] = [];
  #added: CheckpointEntry[] | undefined;
  #derived = 0;
  #ladder: HistoryPlan['ladder'] | undefined;

  constructor(
    private readonly policy: RetentionPolicy,
    private readonly startMs: number,
    private readonly growth: Growth,
  ) {}

  get entries(): readonly CheckpointEntry[] {
    return this.#entries;
  }

  /** A capture so many seconds after the last. */
  capture(after = 1): void {
    const before = this.seconds;
    this.seconds += before < 0 ? 1 : after;
    const entry = this.#entry(this.seconds, before < 0 ? undefined : before);
    this.#add(entry);
    // What was written in each second, whether or not it was captured by itself.
    if (before >= 0) this.written.captured += after * this.growth.bytesOf(1);
  }

  /** Plans, and does what the plan says. */
  thin(): HistoryPlan {
    const began = performance.now();
    const nowMs = this.#timeOf(this.seconds);
    const ladder = this.#ladder;
    const asked = { machineId: 'm', policy: this.policy, tags: [], nowMs, ...(ladder && { ladder }) };
    const plan = this.#standing.plan({ ...asked, entries: this.#entries }, this.#added);
    this.plans.ms += performance.now() - began;
    this.plans.all++;
    if (plan.isWhole) this.plans.whole++;
    this.#added = [];
    for (const job of plan.jobs) this.#merge(job);
    if (plan.remove.length > 0) {
      const goes = new Set(plan.remove);
      this.#entries = this.#entries.filter((entry) => !goes.has(entry));
      this.#added = undefined;
    }
    return plan;
  }

  /** A ladder that stays, whatever is measured of the objects. */
  fix(ladder: HistoryPlan['ladder']): void {
    this.#ladder = ladder;
  }

  /** A base, and one increment from each kept state to the next: less cannot show them all. */
  idealBytes(kept: readonly CheckpointEntry[]): number {
    const sequences = kept.map(({ sequence }) => sequence).sort((one, other) => one - other);
    const gaps = sequences.slice(1).map((sequence, at) => sequence - sequences[at]!);
    return gaps.reduce((sum, gap) => sum + this.growth.bytesOf(gap), this.growth.baseBytes);
  }

  #merge({ role, to, parent, path }: MergeJob): void {
    const from = parent === undefined ? undefined : sequenceOf(parent);
    const { key: _, ...made } = this.#entry(to.sequence, from);
    const number = String(++this.#derived).padStart(10, '0');
    const created = String(this.#timeOf(this.seconds)).padStart(14, '0');
    const key = `machines/m/merged/${number}-${created}-${noise(this.#derived)}.fitdoc`;
    const createdAtMs = this.#timeOf(this.seconds);
    const objectHash = noise(this.#derived).padStart(64, 'd');
    const derived = { key, createdAtMs, objectHash, state: made.contentHash, role };
    this.written.merged += made.bytes;
    this.#add({ ...made, ...derived, metrics: { mergedCheckpoints: path.length } });
  }

  #add(entry: CheckpointEntry): void {
    this.#entries.push(entry);
    this.#added?.push(entry);
  }

  /** The state at a second, over that at another, or over nothing. */
  #entry(second: number, from: number | undefined): CheckpointEntry {
    const { parentContentHash: _, parentId: __, ...template } = TEMPLATE;
    const contentHash = hashOf(second);
    const atMs = this.#timeOf(second);
    const number = String(second).padStart(10, '0');
    return {
      ...template,
      ...{ id: contentHash.slice(0, 32), contentHash, objectHash: contentHash, sequence: second },
      ...{ capturedAtMs: atMs, createdAtMs: atMs, kind: from === undefined ? 'base' : 'increment' },
      ...(from === undefined ? {} : { parentContentHash: hashOf(from), parentId: hashOf(from).slice(0, 32) }),
      bytes: from === undefined ? this.growth.baseBytes : this.growth.bytesOf(second - from),
      key: `machines/m/checkpoints/${number}-${String(atMs).padStart(14, '0')}-${noise(second)}.fitdoc`,
    };
  }

  #timeOf(second: number): number {
    return this.startMs + second * SECOND;
  }
}

const TEMPLATE = syntheticEntry(1);

/** Names the second too, so that sizes can be told from hashes. */
function hashOf(second: number): string {
  return second.toString(16).padStart(12, '0') + noise(second).repeat(5).slice(0, 52);
}

function sequenceOf(contentHash: string): number {
  return parseInt(contentHash.slice(0, 12), 16);
}

/** Twelve digits that look random. */
function noise(number: number): string {
  const mixed = Math.imul(number ^ (number >>> 15), 2_246_822_519) >>> 0;
  return (mixed * 65_521 + (number % 65_521)).toString(16).padStart(12, '0').slice(-12);
}
