import { expect, it } from 'vitest';
import { applyPolicy, simulatePolicy, unknownOverlap, type CheckpointEntry } from '../src/index.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const policy = {
  keepAllForMs: 2 * HOUR,
  keepMinutelyForMs: 2 * DAY,
  keepHourlyForMs: 14 * DAY,
  keepDailyForMs: 365 * DAY,
  timeZone: 'UTC',
};

it('shows what tiers keep over a month at a checkpoint a second', () => {
  const { moments, ladder } = simulatePolicy(policy, unknownOverlap(1_000), {
    spanMs: 30 * DAY,
    everyMs: 1_000,
  });
  expect(moments.map(({ afterMs }) => afterMs / HOUR)).toEqual([1, 24, 168, 720]);
  expect(moments[0]).toMatchObject({ taken: 3_600, kept: 3_601 });
  const month = moments.at(-1)!;
  expect(month.byRule).toMatchObject({
    all: 7_201,
    'minutely tier': 2 * 1_440 + 1,
    'hourly tier': 14 * 24 + 1,
  });
  expect(month.reachMs).toBeGreaterThan(28 * DAY);
  expect(ladder.pathObjects).toBeLessThanOrEqual(64);
});

it('keeps what applying the policy to every capture would', () => {
  for (const rules of [policy, { keepLast: 7, keepHourly: 5, keepWeekly: 2, timeZone: 'Asia/Kathmandu' }]) {
    const everyMs = 47_000;
    const spanMs = 9 * DAY;
    const { moments } = simulatePolicy(rules, unknownOverlap(everyMs), { spanMs, everyMs });
    const taken = Math.floor(spanMs / everyMs);
    const all = Array.from(
      { length: taken + 1 },
      (_, sequence) =>
        ({ sequence, capturedAtMs: sequence * everyMs, createdAtMs: 0, key: '' }) as CheckpointEntry,
    );
    expect(moments.at(-1)!.kept).toBe(applyPolicy(all, rules).size);
  }
});

it('refuses a span without end, and what keeps nothing', () => {
  const run =
    (rules: object, spanMs: number, everyMs = 1_000) =>
    () =>
      simulatePolicy(rules, unknownOverlap(everyMs), { spanMs, everyMs });
  for (const bad of [
    run(policy, Infinity),
    run(policy, 0),
    run(policy, HOUR, 0),
    run(policy, HOUR, 2 * HOUR),
    run({}, HOUR),
    run({ keepHourlyForMs: 2 * HOUR, keepDailyForMs: DAY, keepAllForMs: 3 * HOUR }, DAY),
    run({ keepLast: Infinity }, 365 * DAY, 10),
  ]) {
    expect(bad).toThrowError(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
  }
});
