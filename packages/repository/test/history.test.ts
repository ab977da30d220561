import { expect, it } from 'vitest';
import {
  Lineage,
  MOST_OBJECTS,
  planHistory,
  type CheckpointEntry,
  type HistoryPlan,
  type RetentionPolicy,
} from '../src/index.js';
import { dice } from './support/dice.js';
import { modelEntry } from './support/model-entries.js';
import { ModelHistory } from './support/model-history.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const POLICIES: readonly RetentionPolicy[] = [
  { keepAllForMs: 2 * MINUTE, keepMinutelyForMs: 20 * MINUTE, keepHourlyForMs: 30 * HOUR },
  { keepAllForMs: 30 * SECOND, keepHourlyForMs: 5 * HOUR, keepDailyForMs: 90 * 24 * HOUR },
  { keepLast: 10 },
  { keepLast: 3, keepHourly: 4, keepDaily: 2 },
  { keepWithinMs: 10 * MINUTE, keepWeekly: 3 },
];

const WORDS = 24;

/** A random life of a machine, each step of it checked. */
class Life {
  readonly #model = new ModelHistory();
  readonly #roll: (sides: number) => number;
  readonly #policy: RetentionPolicy;
  /** Whether an object was lost: what stood on it is gone by right. */
  #damaged = false;
  worst = 0;

  constructor(seed: number) {
    this.#roll = dice(seed);
    this.#policy = { timeZone: 'UTC', ...POLICIES[this.#roll(POLICIES.length)]! };
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) this.#step(step);
    this.#thin(true);
  }

  #step(step: number): void {
    const roll = this.#roll;
    const model = this.#model;
    model.nowMs += roll(40) === 0 ? roll(3) * 20 * MINUTE : SECOND;
    const what = roll(100);
    if (what < 86) this.#capture(step);
    else if (what < 89) this.#tag();
    else if (what < 90) this.#fork();
    else if (what < 98) this.#thin(what < 95);
    else if (what === 98 && roll(4) === 0) this.#lose();
  }

  #capture(step: number): void {
    const words = new Map(
      Array.from({ length: 1 + this.#roll(3) }, () => [this.#roll(WORDS), step] as const),
    );
    // Now and then the clock is in 2031, or years behind.
    const wrong = this.#roll(60);
    const model = this.#model;
    model.capture(
      words,
      model.nowMs + (wrong === 0 ? 5 * 365 * 24 * HOUR : wrong === 1 ? -9 * 24 * HOUR : 0),
    );
  }

  #states(): CheckpointEntry[] {
    const lineage = new Lineage(this.#model.entries());
    return lineage.states().filter((entry) => lineage.cost(entry));
  }

  #tag(): void {
    const states = this.#states();
    if (states.length === 0) return;
    const name = `t${this.#roll(4)}`;
    if (this.#roll(3) === 0) this.#model.tags.delete(name);
    else this.#model.tags.set(name, states[this.#roll(states.length)]!.contentHash);
  }

  #fork(): void {
    const states = this.#states();
    this.#model.head = states[this.#roll(states.length)]?.contentHash;
  }

  #lose(): void {
    const entries = this.#model.entries();
    const lost = entries[this.#roll(entries.length)];
    if (!lost) return;
    this.#damaged = true;
    this.#model.remove(lost);
    // The protector notices, and begins anew.
    const head = this.#model.head;
    const lineage = new Lineage(this.#model.entries());
    if (head !== undefined && !this.#model.restore(lineage, head)) this.#model.head = undefined;
  }

  /** Plans, merges all or some, and removes what the plan says, or a part of it: a crash may come anywhere. */
  #thin(all: boolean): void {
    const held = new Set(
      this.#states()
        .filter(() => this.#roll(30) === 0)
        .map((entry) => entry.contentHash),
    );
    // What is being written stands on the head.
    if (this.#model.head !== undefined) held.add(this.#model.head);
    for (let round = 0; round < (all ? 12 : 1); round++) {
      const plan = this.#model.plan(this.#policy, held);
      this.#removeSafely(plan, held, all);
      const jobs = all ? plan.jobs : plan.jobs.filter(() => this.#roll(2) === 0);
      for (const job of jobs) this.#model.run(job);
      if (jobs.length === 0) {
        if (all) this.#checkBound(plan);
        return;
      }
    }
  }

  #checkBound(plan: HistoryPlan): void {
    expect(plan.path.worst).toBeLessThanOrEqual(MOST_OBJECTS);
    this.worst = Math.max(this.worst, plan.path.worst);
    const lineage = new Lineage(this.#model.entries());
    for (const { entry } of plan.keep) {
      const cost = lineage.cost(entry);
      if (cost) expect(cost.objects).toBeLessThanOrEqual(MOST_OBJECTS);
      else expect(this.#damaged).toBe(true);
    }
  }

  #removeSafely(plan: HistoryPlan, held: ReadonlySet<string>, all: boolean): void {
    const model = this.#model;
    const before = new Lineage(model.entries());
    const must = new Set([
      ...plan.keep.map(({ entry }) => entry.contentHash),
      ...held,
      ...model.tags.values(),
    ]);
    const whole = [...must].filter((state) => model.restore(before, state));
    const until = all ? plan.remove.length : this.#roll(plan.remove.length + 1);
    for (const entry of plan.remove.slice(0, until)) model.remove(entry);
    const after = new Lineage(model.entries());
    for (const state of whole) expect(model.restore(after, state)?.words).toEqual(model.images.get(state));
  }
}

const RUNS = 400;
const STEPS = 255;

it(`keeps every state that it should, over ${RUNS * STEPS} random steps`, { timeout: 900_000 }, () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  console.log(`history: seeds from ${seed} (SEED=${seed} repeats them)`);
  for (let run = 0; run < RUNS; run++) {
    try {
      new Life(seed + run * 7_919).run(STEPS);
    } catch (error) {
      throw new Error(`seed ${seed + run * 7_919} failed`, { cause: error });
    }
  }
});

const TIERS = { keepAllForMs: 2 * HOUR, keepMinutelyForMs: 48 * HOUR, keepHourlyForMs: 14 * 24 * HOUR };

/** A machine at a checkpoint a second that writes a few of many words. */
function live(model: ModelHistory, seconds: number, policy: RetentionPolicy, roll = dice(5)): HistoryPlan {
  let plan: HistoryPlan | undefined;
  for (let second = 0; second < seconds; second++) {
    model.nowMs += SECOND;
    const words = Array.from({ length: 10 }, () => [roll(2_000), model.nowMs] as const);
    model.capture(new Map(model.head ? words : Array.from({ length: 2_000 }, (_, word) => [word, 0])));
    if (second % 10 !== 9) continue;
    plan = model.plan(policy);
    for (const job of plan.jobs) model.run(job);
    for (const entry of plan.remove) model.remove(entry);
    expect(plan.path.worst).toBeLessThanOrEqual(MOST_OBJECTS);
  }
  return plan!;
}

it('bounds what a restore reads at a checkpoint a second, with rungs at the ends of minutes', () => {
  const model = new ModelHistory();
  const plan = live(model, 900, { ...TIERS, timeZone: 'UTC' });
  expect(plan.ladder.pathObjects).toBeLessThanOrEqual(MOST_OBJECTS);
  expect(plan.ladder.levels.map(({ name }) => name)).toEqual(expect.arrayContaining(['minute', 'hour']));
  expect(plan.keep.length).toBe(900);
  const minutes = model.entries().filter((entry) => entry.role === 'shortcut');
  expect(minutes.length).toBeGreaterThan(14);
});

it('leaves tags beside the main way, and rebases a fork from long ago', () => {
  const model = new ModelHistory();
  const policy = { keepAllForMs: MINUTE, keepMinutelyForMs: HOUR, timeZone: 'UTC' };
  live(model, 110, policy);
  const tagged = model.head!;
  model.tags.set('golden', tagged);
  live(model, 300, policy, dice(7));
  const lineage = new Lineage(model.entries());
  const side = lineage.providers(tagged);
  expect(side.map(({ role }) => role)).toEqual(['merged']);
  const head = lineage.face(model.head!)!;
  expect(lineage.chain(head).map(({ contentHash }) => contentHash)).not.toContain(tagged);
  model.head = tagged;
  model.nowMs += 3 * HOUR;
  expect(live(model, 60, policy, dice(9)).path.worst).toBeLessThanOrEqual(MOST_OBJECTS);
});

it('says that it is behind instead of failing', () => {
  const chain = Array.from({ length: 500 }, (_, index) =>
    modelEntry({ state: index + 1, sequence: index, ...(index === 0 ? {} : { parent: index }) }),
  );
  const request = { machineId: 'm1', entries: chain, tags: [], nowMs: 1_750_000_500_000 };
  const plan = planHistory({ ...request, policy: { keepAllForMs: HOUR, timeZone: 'UTC' } });
  expect(plan.path).toEqual({ newest: 500, worst: 500 });
  expect(plan.remove).toEqual([]);
  expect(plan.jobs.length).toBeGreaterThan(8);
  expect(plan.jobs[0]!.path.length).toBeLessThanOrEqual(128);
});

it('keeps the head and its neighbours after a spell with the clock in 2031', () => {
  const model = new ModelHistory();
  const start = model.nowMs;
  const states: string[] = [];
  for (let nth = 0; nth < 60; nth++) {
    model.nowMs = start + nth * SECOND;
    const wrong = nth >= 20 && nth < 30 ? 5 * 365 * 24 * HOUR : 0;
    states.push(model.capture(new Map([[nth, nth]]), model.nowMs + wrong).contentHash);
  }
  const kept = (policy: RetentionPolicy) =>
    model.plan({ timeZone: 'UTC', ...policy }).keep.map(({ entry }) => states.indexOf(entry.contentHash));
  expect(kept({ keepLast: 5 })).toEqual([59, 58, 57, 56, 55]);
  expect(kept({ keepAllForMs: 10 * SECOND })[0]).toBe(59);
  expect(kept({ keepAllForMs: 10 * SECOND }).length).toBe(11);
  expect(kept({ keepDaily: 3 }).length).toBe(1);
  const plan = model.plan({ keepAllForMs: HOUR, timeZone: 'UTC' });
  expect(plan.future.length).toBe(10);
  expect(plan.keep.length).toBe(60);
});
