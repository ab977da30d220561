import fc from 'fast-check';
import { expect, it } from 'vitest';
import { applyPolicy, type CheckpointEntry, type RetentionPolicy } from '../src/index.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function entriesAt(times: readonly number[]): CheckpointEntry[] {
  return times.map((capturedAtMs, sequence) => {
    const contentHash = sequence.toString(16).padStart(64, '0');
    return {
      key: `k${sequence}`,
      contentHash,
      sequence,
      capturedAtMs,
      createdAtMs: capturedAtMs,
    } as CheckpointEntry;
  });
}

const keptTimes = (times: readonly number[], policy: RetentionPolicy) =>
  [...applyPolicy(entriesAt(times), { timeZone: 'UTC', ...policy }).keys()]
    .map((entry) => new Date(entry.capturedAtMs).toISOString().slice(0, 16))
    .sort();

it('keeps the newest of each day, week, month and year', () => {
  const start = Date.UTC(2024, 0, 1);
  const times = Array.from({ length: 800 }, (_, day) => [
    start + day * DAY + 8 * HOUR,
    start + day * DAY + 20 * HOUR,
  ]).flat();
  expect(keptTimes(times, { keepDaily: 3 })).toEqual([
    '2026-03-08T20:00',
    '2026-03-09T20:00',
    '2026-03-10T20:00',
  ]);
  // 2026-03-08 is a Sunday: the last of its week.
  expect(keptTimes(times, { keepWeekly: 3 })).toEqual([
    '2026-03-01T20:00',
    '2026-03-08T20:00',
    '2026-03-10T20:00',
  ]);
  expect(keptTimes(times, { keepMonthly: 3 })).toEqual([
    '2026-01-31T20:00',
    '2026-02-28T20:00',
    '2026-03-10T20:00',
  ]);
  expect(keptTimes(times, { keepYearly: 9 })).toEqual([
    '2024-12-31T20:00',
    '2025-12-31T20:00',
    '2026-03-10T20:00',
  ]);
  expect(keptTimes(times, { keepWithinMs: DAY })).toEqual([
    '2026-03-09T20:00',
    '2026-03-10T08:00',
    '2026-03-10T20:00',
  ]);
  expect(keptTimes(times, { keepHourly: 2, keepLast: 1 })).toEqual(['2026-03-10T08:00', '2026-03-10T20:00']);
  expect(keptTimes(times, { keepLast: Infinity }).length).toBe(1600);
});

it('begins days where the zone does, and counts the hour that is there twice in autumn once', () => {
  const times = [Date.UTC(2026, 0, 1, 22, 30), Date.UTC(2026, 0, 1, 23, 30)];
  expect(keptTimes(times, { keepDaily: 2 })).toEqual(['2026-01-01T23:30']);
  expect(keptTimes(times, { keepDaily: 2, timeZone: 'Europe/Berlin' }).length).toBe(2);
  const autumn = [Date.UTC(2026, 9, 25, 0, 30), Date.UTC(2026, 9, 25, 1, 30)];
  expect(keptTimes(autumn, { keepHourly: 5, timeZone: 'Europe/Berlin' }).length).toBe(1);
});

it('gives every reason', () => {
  const entries = entriesAt([Date.UTC(2026, 0, 1)]);
  const policy = {
    keepLast: 1,
    keepHourly: 1,
    keepDaily: 1,
    keepWeekly: 1,
    keepMonthly: 1,
    keepYearly: 1,
    keepWithinMs: 1,
  };
  expect(applyPolicy(entries, policy).get(entries[0]!)).toEqual([
    'last',
    'within',
    'hourly',
    'daily',
    'weekly',
    'monthly',
    'yearly',
  ]);
});

it('keeps the newest whatever the policy, and as many a rule as it says', () => {
  const counts = fc.record(
    { keepLast: fc.nat(9), keepHourly: fc.nat(9), keepDaily: fc.nat(9), keepMonthly: fc.nat(9) },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 400 * DAY }), { minLength: 1 }), counts, (times, policy) => {
      fc.pre(Object.values(policy).some((count) => count > 0));
      const entries = entriesAt(times);
      const kept = applyPolicy(entries, { ...policy, timeZone: 'UTC' });
      expect([...kept.keys()].some((entry) => entry.capturedAtMs === Math.max(...times))).toBe(true);
      const count = (reason: string) =>
        [...kept.values()].filter((reasons) => reasons.includes(reason)).length;
      const days = new Set(times.map((time) => Math.floor(time / DAY))).size;
      const hours = new Set(times.map((time) => Math.floor(time / HOUR))).size;
      expect(count('last')).toBe(Math.min(policy.keepLast ?? 0, times.length));
      expect(count('daily')).toBe(Math.min(policy.keepDaily ?? 0, days));
      expect(count('hourly')).toBe(Math.min(policy.keepHourly ?? 0, hours));
    }),
  );
});
