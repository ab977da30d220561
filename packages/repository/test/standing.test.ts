import { expect, it } from 'vitest';
import {
  Lineage,
  MOST_OBJECTS,
  planHistory,
  StandingHistory,
  type HistoryPlan,
  type HistoryRequest,
  type MergeJob,
  type RetentionPolicy,
} from '../src/index.js';
import { dice } from './support/dice.js';
import { ModelHistory } from './support/model-history.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const POLICIES: readonly RetentionPolicy[] = [
  { keepAllForMs: 10 * MINUTE, keepMinutelyForMs: 3 * HOUR, keepHourlyForMs: 30 * HOUR },
  { keepAllForMs: 2 * MINUTE, keepMinutelyForMs: 20 * MINUTE },
  { keepWithinMs: 5 * MINUTE, keepHourly: 3 },
  { keepLast: Infinity },
  { keepLast: 30, keepHourly: 2 },
];

const RUNGS = new Set(['1s', '5s', '10s', '30s', 'minute', '10m'].flatMap((name) => [name, `half ${name}`]));

const edgeOf = ({ role, to, parent, path }: MergeJob): string =>
  [role, parent, to.contentHash, ...path.map(({ key }) => key)].join(' ');

function isSame(one: ReadonlyMap<number, number> | undefined, other: ReadonlyMap<number, number>): boolean {
  return one?.size === other.size && [...one].every(([word, value]) => other.get(word) === value);
}

/** A machine's life with all that happens in one, planned by a standing plan and by one made anew each time. */
class Life {
  readonly #model = new ModelHistory();
  readonly #standing = new StandingHistory({ leastCaptures: 40, objectsPerCapture: 6 });
  readonly #policy: RetentionPolicy;
  readonly #roll: (sides: number) => number;
  /** The newest state that had one after it at the last look at everything. */
  #looked = -1;
  partial = 0;
  jobs = 0;

  constructor(
    seed: number,
    private readonly isCalm: boolean,
  ) {
    this.#roll = dice(seed);
    this.#policy = { timeZone: 'UTC', ...POLICIES[seed % POLICIES.length]! };
  }

  run(captures: number): void {
    for (let nth = 0; nth < captures; nth++) {
      this.#happen();
      this.#capture(nth);
      if (this.#roll(8) === 0) this.#thin();
    }
  }

  #happen(): void {
    const [model, roll] = [this.#model, this.#roll];
    const drawn = () => {
      const states = new Lineage(model.entries()).states();
      return states[roll(states.length)]?.contentHash;
    };
    const what = this.isCalm ? 4 + roll(900) : roll(900);
    if (what === 0 && model.head) model.tags.set(`t${roll(3)}`, drawn()!);
    else if (what === 1) model.tags.delete(`t${roll(3)}`);
    else if (what === 2) model.head = drawn();
    else if (what === 3) model.nowMs += roll(2 * HOUR);
    else if (what === 4) model.nowMs += roll(3 * MINUTE);
  }

  #capture(nth: number): void {
    const [model, roll] = [this.#model, this.#roll];
    model.nowMs += roll(5) === 0 ? roll(4 * SECOND) : SECOND;
    const wrong = this.isCalm ? 2 : roll(700);
    const step = wrong === 0 ? 24 * HOUR * 400 : wrong === 1 ? -HOUR : 0;
    model.capture(new Map([[roll(24), nth]]), model.nowMs + step);
  }

  #thin(): void {
    for (let round = 0; round < 2; round++) {
      const request = this.#request();
      const plan = this.#standing.plan(request);
      if (plan.isWhole) this.#looked = plan.points.newestSequence - 1;
      if (!plan.isWhole) this.#compare(plan, planHistory(request));
      else expect(plan.jobs.map(edgeOf)).toEqual(planHistory(request).jobs.map(edgeOf));
      this.#do(plan);
    }
  }

  /** Of rungs, a standing plan asks for what one made anew asks for. */
  #compare(plan: HistoryPlan, whole: HistoryPlan): void {
    this.partial++;
    this.jobs += plan.jobs.length;
    const asked = plan.jobs.map(edgeOf);
    const rungs = whole.jobs.filter(({ level }) => RUNGS.has(level));
    expect(rungs.map(edgeOf).filter((edge) => asked.includes(edge))).toEqual(asked);
    // Those that end at what was there already, removals may have made due: they wait for the next look.
    const fresh = rungs.filter(({ to }) => to.sequence > this.#looked);
    expect(asked).toEqual(expect.arrayContaining(fresh.map(edgeOf)));
    const lineage = new Lineage(this.#model.entries());
    expect(plan.points).toEqual(whole.points);
    expect(plan.keep[0]!.entry).toBe(whole.keep[0]!.entry);
    expect(plan.path.newest).toBe(lineage.cost(plan.keep[0]!.entry)?.objects);
    const kept = new Set(plan.keep.map(({ entry }) => entry.contentHash));
    expect(whole.keep.every(({ entry }) => kept.has(entry.contentHash))).toBe(true);
  }

  /** All or some of it: others may do it, or it may fail. What was planned to go can go. */
  #do(plan: HistoryPlan): void {
    const model = this.#model;
    for (const job of plan.jobs) if (this.#roll(6) > 0) model.run(job);
    if (plan.remove.length === 0 || this.#roll(4) > 0) return;
    const before = planHistory(this.#request()).keep.map(({ entry }) => entry.contentHash);
    for (const entry of plan.remove) model.remove(entry);
    const after = new Lineage(model.entries());
    const isRight = (state: string) => isSame(model.restore(after, state)?.words, model.images.get(state)!);
    expect(before.filter((state) => !isRight(state))).toEqual([]);
  }

  #request(): HistoryRequest {
    const model = this.#model;
    const tags = [...model.tags].map(([name, contentHash]) => ({ name, contentHash, movedAtMs: 0 }));
    const { nowMs } = model;
    return { machineId: 'm1', entries: model.entries(), policy: this.#policy, tags, nowMs };
  }
}

it('asks for the merges that a plan made anew asks for, through random lives', { timeout: 300_000 }, () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  console.log(`standing plans: seeds from ${seed} (SEED=${seed} repeats them)`);
  const sum = { partial: 0, jobs: 0 };
  for (let run = 0; run < 3; run++) {
    const life = new Life(seed + run, run % 2 === 0);
    try {
      life.run(800);
    } catch (error) {
      throw new Error(`seed ${seed + run} failed`, { cause: error });
    }
    sum.partial += life.partial;
    sum.jobs += life.jobs;
  }
  expect(sum.partial).toBeGreaterThan(20);
  expect(sum.jobs).toBeGreaterThan(2);
});

it('looks at all of a history at a checkpoint a second once for many, and keeps the bound', () => {
  const model = new ModelHistory();
  const standing = new StandingHistory();
  const policy = { keepAllForMs: HOUR / 2, keepMinutelyForMs: 48 * HOUR, timeZone: 'UTC' };
  const roll = dice(5);
  const looks = { whole: 0, all: 0 };
  for (let second = 0; second < 4_000; second++) {
    model.nowMs += SECOND;
    const words = Array.from({ length: 10 }, () => [roll(2_000), second] as const);
    model.capture(new Map(model.head ? words : Array.from({ length: 2_000 }, (_, word) => [word, 0])));
    if (second % 8 !== 7) continue;
    const request = { machineId: 'm1', entries: model.entries(), policy, tags: [], nowMs: model.nowMs };
    const plan = standing.plan(request);
    looks.all++;
    if (plan.isWhole) looks.whole++;
    for (const job of plan.jobs) model.run(job);
    for (const entry of plan.remove) model.remove(entry);
    expect(plan.path.worst).toBeLessThanOrEqual(MOST_OBJECTS);
    expect(new Lineage(model.entries()).cost(plan.keep[0]!.entry)!.objects).toBeLessThanOrEqual(MOST_OBJECTS);
  }
  expect(looks.whole).toBeLessThan(looks.all / 3);
});
