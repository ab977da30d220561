import fc from 'fast-check';
import { expect, it } from 'vitest';
import { applyPolicy, type CheckpointEntry, type RetentionPolicy } from '../src/index.js';
import { chainTimes } from '../src/retention/chain-time.js';
import { naivelyKept } from './support/naive-policy.js';

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
      const entries = entriesAt([...times].sort((one, other) => one - other));
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

/** Policies with rules of every kind, tiers from fine to coarse. */
const policies = fc
  .record(
    {
      keepLast: fc.nat(5),
      keepWithinMs: fc.nat(3 * DAY),
      keepHourly: fc.nat(5),
      keepDaily: fc.nat(5),
      keepWeekly: fc.nat(3),
      keepMonthly: fc.nat(3),
      keepYearly: fc.nat(3),
      keepAllForMs: fc.nat(50_000),
      keepMinutelyForMs: fc.integer({ min: 60_000, max: HOUR }),
      keepHourlyForMs: fc.integer({ min: HOUR + 1, max: 2 * DAY }),
      keepDailyForMs: fc.integer({ min: 3 * DAY, max: 30 * DAY }),
      keepWeeklyForMs: fc.integer({ min: 31 * DAY, max: 90 * DAY }),
    },
    { requiredKeys: [] },
  )
  .filter((policy) => Object.values(policy).some((amount) => amount > 0));

/** Captured times of a machine whose clock is set now and then, either way. */
const clocks = fc
  .array(
    fc.tuple(
      fc.oneof(fc.nat(90_000), fc.nat(5 * HOUR), fc.nat(3 * DAY)),
      fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: -60 * DAY, max: 2000 * DAY })),
    ),
    { minLength: 1, maxLength: 60 },
  )
  .map((steps) => {
    let [ms, off] = [Date.UTC(2026, 0, 1), 0];
    return steps.map(([passed, step]) => (ms += passed) + (off = step === 0 ? off : step));
  });

it('keeps what the rules say word for word, whatever clocks told', () => {
  fc.assert(
    fc.property(clocks, policies, fc.integer({ min: -400, max: 2500 }), (times, policy, nowDays) => {
      const entries = entriesAt(times);
      const nowMs = Date.UTC(2026, 0, 1) + nowDays * DAY;
      const kept = applyPolicy(entries, { ...policy, timeZone: 'UTC' }, chainTimes(entries, nowMs));
      expect(new Set(kept.keys())).toEqual(naivelyKept(entries, policy, nowMs));
    }),
    { numRuns: 500 },
  );
});

it('keeps the same again of what it kept, by the times that it knew, and what came since after them', () => {
  fc.assert(
    fc.property(clocks, policies, fc.nat(2500), (times, policy, nowDays) => {
      const entries = entriesAt(times);
      const nowMs = Date.UTC(2026, 0, 1) + nowDays * DAY;
      const before = chainTimes(entries, nowMs);
      const kept = [...applyPolicy(entries, { ...policy, timeZone: 'UTC' }, before).keys()];
      // Another moment by the clock here: it may have been set while this goes on.
      const after = chainTimes(kept, nowMs - 300 * DAY, before.known);
      expect(applyPolicy(kept, { ...policy, timeZone: 'UTC' }, after).size).toBe(kept.length);
      const more = entriesAt([...times, times[0]! - 9 * DAY, Date.UTC(2050, 0, 1)]).slice(-2);
      const grown = chainTimes([...kept, ...more], nowMs, before.known);
      const rising = [...grown.ordered].reverse().map((entry) => grown.timeOf(entry));
      expect(rising).toEqual([...rising].sort((one, other) => one - other));
    }),
    { numRuns: 500 },
  );
});

it('loses nothing to a clock that falls back, be it of one checkpoint or of more than there were before', () => {
  const start = Date.UTC(2026, 4, 1, 9);
  const before = Array.from({ length: 60 }, (_, day) => start - (60 - day) * DAY);
  for (const fallenMs of [start - 365 * DAY, 30 * HOUR]) {
    for (const many of [1, 20, 70, 3 * 3600]) {
      const spell = Array.from({ length: many }, (_, second) => fallenMs + second * 1000);
      const entries = entriesAt([...before, ...spell]);
      const kept = (policy: RetentionPolicy, nowMs: number) => {
        const times = chainTimes(entries, nowMs);
        const all = [...applyPolicy(entries, { timeZone: 'UTC', ...policy }, times).keys()];
        return all.filter(({ sequence }) => sequence < before.length).length;
      };
      // By the clock here, which may be the one that fell, what was before is in the future.
      for (const nowMs of [spell.at(-1)!, start + HOUR]) {
        expect(kept({ keepDaily: 30 }, nowMs)).toBeGreaterThanOrEqual(28);
        expect(kept({ keepAllForMs: 2 * HOUR, keepDailyForMs: 30 * DAY }, nowMs)).toBeGreaterThanOrEqual(28);
      }
    }
  }
});

it('believes a history of months over hours at a checkpoint a second by a wrong clock, once that is set right', () => {
  const start = Date.UTC(2026, 4, 1, 9);
  const before = Array.from({ length: 60 }, (_, day) => start - (60 - day) * DAY);
  for (const wrongMs of [start - 365 * DAY, 30 * HOUR]) {
    const spell = Array.from({ length: 2 * 3600 }, (_, second) => wrongMs + second * 1000);
    const entries = entriesAt([...before, ...spell, start + 2 * HOUR, start + 2 * HOUR + 1000]);
    const times = chainTimes(entries, start + 3 * HOUR);
    const policy = { timeZone: 'UTC', keepAllForMs: HOUR, keepDailyForMs: 45 * DAY };
    const kept = [...applyPolicy(entries, policy, times).keys()].map(({ sequence }) => sequence);
    // 44 days; the last of the newest of them is one of the spell.
    expect(kept.filter((sequence) => sequence < before.length).length).toBe(43);
    expect(times.timeOf(entries[0]!)).toBe(before[0]);
  }
});

it('lets a spell with a wrong clock cost no place and keep nothing, behind the present or ahead of it', () => {
  const start = Date.UTC(2026, 4, 1, 9);
  for (const wrong of [-40 * 365 * DAY, 5 * 365 * DAY]) {
    const times = Array.from(
      { length: 60 },
      (_, at) => start + at * 1000 + (at >= 20 && at < 30 ? wrong : 0),
    );
    const entries = entriesAt(times);
    const kept = (policy: RetentionPolicy, nowMs?: number) =>
      [...applyPolicy(entries, { timeZone: 'UTC', ...policy }, chainTimes(entries, nowMs)).keys()].map(
        ({ sequence }) => sequence,
      );
    for (const nowMs of [start + 60_000, start - 365 * DAY, undefined]) {
      expect(kept({ keepDaily: 3 }, nowMs)).toEqual([59]);
      expect(kept({ keepLast: 3 }, nowMs)).toEqual([59, 58, 57]);
    }
  }
});
