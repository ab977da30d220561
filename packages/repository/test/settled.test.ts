import { describe, expect, test } from 'vitest';
import { planHistory, type Pace, type RetentionPolicy } from '../src/index.js';
import { ModelHistory } from './support/model-history.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const CAPTURES = 60;
/** Levels of a ladder, a base, and what lies behind the oldest state: each may need the one before. */
const MOST_ROUNDS = 12;

const INTERVALS: readonly (readonly [string, number])[] = [
  ['10 s', MINUTE / 6],
  ['20 min', 20 * MINUTE],
  ['4 h', 4 * HOUR],
  ['1 d', DAY],
  ['5 d', 5 * DAY],
  ['40 d', 40 * DAY],
];
const POLICIES: readonly RetentionPolicy[] = [
  { keepLast: Number.POSITIVE_INFINITY },
  { keepLast: 8 },
  { keepAllForMs: 2 * DAY, keepDailyForMs: 30 * DAY, keepMonthly: 6 },
  { keepAllForMs: 2 * HOUR, keepMinutelyForMs: 2 * DAY, keepHourlyForMs: 14 * DAY, keepYearly: 3 },
];

/** Merges and removes as a run of thinning does, until there is nothing to do; gives the rounds that it took. */
function settle(model: ModelHistory, policy: RetentionPolicy, pace: Pace): number {
  const plan = () =>
    planHistory({
      ...{ machineId: 'm1', entries: model.entries(), tags: [], nowMs: model.nowMs },
      ...{ policy: { ...policy, timeZone: 'UTC' }, pace },
    });
  for (let round = 0; ; round++) {
    const { jobs } = plan();
    for (const job of jobs.filter(({ level }) => level === jobs[0]!.level)) model.run(job);
    const { remove } = plan();
    for (const entry of remove) model.remove(entry);
    if (jobs.length + remove.length === 0 || round > MOST_ROUNDS) return round;
  }
}

/** So many captures, each of which writes some of 24 words; thinned after each. */
function live(intervalOf: (capture: number) => number, policy: RetentionPolicy, pace: Pace): ModelHistory {
  const model = new ModelHistory();
  for (let capture = 0; capture < CAPTURES; capture++) {
    model.nowMs += intervalOf(capture);
    model.capture(new Map(Array.from({ length: 6 }, (_, at) => [(capture * 7 + at) % 24, capture])));
    expect(settle(model, policy, pace)).toBeLessThanOrEqual(MOST_ROUNDS);
    // What settled stays so.
    expect(settle(model, policy, pace)).toBe(0);
  }
  return model;
}

describe.each(['exact', 'prompt', 'lazy'] as const)('thinning at the pace %s comes to an end', (pace) => {
  test.each(INTERVALS)('with a capture each %s', (_, intervalMs) => {
    for (const policy of POLICIES) live(() => intervalMs, policy, pace);
  });

  test('after a pause of days in the middle', () => {
    for (const policy of POLICIES)
      live((capture) => (capture % 20 === 19 ? 5 * DAY : 10 * MINUTE), policy, pace);
  });
});
