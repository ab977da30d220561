import { describe, expect, test } from 'vitest';
import { Lineage, planHistory, type HistoryPlan, type Pace, type RetentionPolicy } from '../src/index.js';
import { dice } from './support/dice.js';
import { ModelHistory } from './support/model-history.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const POLICIES: readonly RetentionPolicy[] = [
  { keepLast: Number.POSITIVE_INFINITY },
  { keepLast: 8 },
  { keepLast: 3, keepHourly: 4, keepDaily: 2 },
  { keepAllForMs: 2 * DAY, keepDailyForMs: 30 * DAY, keepMonthly: 6 },
  { keepAllForMs: 2 * HOUR, keepMinutelyForMs: 2 * DAY, keepHourlyForMs: 14 * DAY, keepYearly: 3 },
  { keepWithinMs: 10 * MINUTE, keepWeekly: 3 },
  { keepAllForMs: 30 * SECOND, keepHourlyForMs: 5 * HOUR, keepDailyForMs: 90 * DAY },
];
const PACES: readonly Pace[] = ['exact', 'prompt', 'lazy'];
/** Levels of a ladder, a base, what lies behind the oldest state: each may need the one before, and pieces of it. */
const MOST_ROUNDS = 40;

/** Merges and removes as a run of thinning does, until there is nothing to do; gives the rounds that it took. */
function settle(model: ModelHistory, policy: RetentionPolicy, pace: Pace): number {
  let first: Partial<Pick<HistoryPlan, 'times' | 'ladder'>> = {};
  const plan = (): HistoryPlan => {
    const tags = [...model.tags].map(([name, contentHash]) => ({ name, contentHash, movedAtMs: 0 }));
    const planned = planHistory({
      ...{ machineId: 'm1', entries: model.entries(), tags, nowMs: model.nowMs },
      ...{
        policy: { ...policy, timeZone: 'UTC' },
        pace,
        held: new Set(model.head && [model.head]),
        ...first,
      },
    });
    first = { times: planned.times, ladder: planned.ladder, ...first };
    return planned;
  };
  for (let round = 0; ; round++) {
    const { jobs } = plan();
    for (const job of jobs.filter(({ level }) => level === jobs[0]!.level)) model.run(job);
    const { remove } = plan();
    for (const entry of remove) model.remove(entry);
    if (jobs.length + remove.length === 0 || round > MOST_ROUNDS) return round;
  }
}

/** So many captures, each of which writes some of 24 words; thinned after each. */
function live(intervalOf: (capture: number) => number, policy: RetentionPolicy, pace: Pace): void {
  const model = new ModelHistory();
  for (let capture = 0; capture < 30; capture++) {
    model.nowMs += intervalOf(capture);
    model.capture(new Map(Array.from({ length: 6 }, (_, at) => [(capture * 7 + at) % 24, capture])));
    expect(settle(model, policy, pace)).toBeLessThanOrEqual(MOST_ROUNDS);
  }
}

/** Captures at intervals from seconds to days, forks, tags and clocks that are wrong; thinned now and then. */
function liveAtRandom(roll: (sides: number) => number): void {
  const model = new ModelHistory();
  const [policy, pace] = [POLICIES[roll(POLICIES.length)]!, PACES[roll(PACES.length)]!];
  const scales = [SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY, 5 * DAY];
  const words = 4 + roll(60);
  let scale = scales[roll(scales.length)]!;
  const some = (): string => {
    const lineage = new Lineage(model.entries());
    const states = lineage.states().filter((entry) => lineage.cost(entry));
    return states[roll(states.length)]!.contentHash;
  };
  for (let captures = 20 + roll(200); captures > 0; captures--) {
    if (roll(15) === 0) scale = scales[roll(scales.length)]!;
    model.nowMs += 1 + roll(2 * scale);
    const wrong = [5 * 365 * DAY, -9 * DAY][roll(80)] ?? 0;
    const written = Array.from({ length: 1 + roll(12) }, () => [roll(words), captures] as const);
    model.capture(new Map(written), model.nowMs + wrong);
    if (roll(20) === 0) model.head = some();
    if (roll(25) === 0) model.tags.set(`t${roll(3)}`, some());
    if (roll(8) === 0 || captures === 1) expect(settle(model, policy, pace)).toBeLessThanOrEqual(MOST_ROUNDS);
  }
}

describe('thinning comes to an end', () => {
  test.each([
    ['10 s', MINUTE / 6],
    ['20 min', 20 * MINUTE],
    ['4 h', 4 * HOUR],
    ['1 d', DAY],
    ['5 d', 5 * DAY],
    ['40 d', 40 * DAY],
  ])('with a capture each %s', (_, intervalMs) => {
    for (const policy of POLICIES) for (const pace of PACES) live(() => intervalMs, policy, pace);
  });

  test('after a pause of days in the middle', () => {
    for (const policy of POLICIES)
      for (const pace of PACES) live((capture) => (capture % 10 === 9 ? 5 * DAY : 10 * MINUTE), policy, pace);
  });

  // Some that did not, and others each time.
  const drawn = Array.from({ length: 20 }, (_, index) => (Date.now() + index * 7919) % 1_000_000);
  test.each([12, 215, 236, 322, 575, 735, ...drawn])('of a random history, seed %i', (seed) => {
    liveAtRandom(dice(seed * 2654435761));
  });
});
