import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MachineSettings } from '../src/config/schema.js';
import { CronPace } from '../src/supervisor/cron-pace.js';
import { AdaptivePace, dalyInterval, paceOf } from '../src/supervisor/pace.js';

const every = (milliseconds: number) => paceOf({ every: milliseconds } as MachineSettings);
const HOUR = 3_600_000;

/**
 * What is lost of the time, to first principles: with failures at random (a Poisson process), the expected time
 * to finish an interval of work and its checkpoint, for each unit of work (Daly 2006, equation 13 without restart).
 */
function loss(interval: number, cost: number, mtbf: number): number {
  return (mtbf * (Math.exp((interval + cost) / mtbf) - 1)) / interval;
}

describe('the interval of Young and Daly', () => {
  test('is near sqrt(2CM) when checkpoints are cheap', () => {
    expect(dalyInterval(10, 24 * HOUR) / Math.sqrt(2 * 10 * 24 * HOUR)).toBeCloseTo(1, 2);
  });

  test('is the mean time between failures when a checkpoint costs twice that', () => {
    expect(dalyInterval(200, 100)).toBe(100);
    expect(dalyInterval(500, 100)).toBe(100);
  });

  test('loses at most a hundredth more than the best interval there is', () => {
    const cost = fc.integer({ min: 1, max: 60_000 });
    const ratio = fc.double({ min: 4, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(cost, ratio, (c, r) => {
        const mtbf = c * r;
        let best = Number.POSITIVE_INFINITY;
        for (let at = c / 8; at < 8 * mtbf; at *= 1.02) best = Math.min(best, loss(at, c, mtbf));
        expect(loss(dalyInterval(c, mtbf), c, mtbf)).toBeLessThan(best * 1.01);
      }),
    );
  });
});

describe('an adaptive schedule', () => {
  const settings = { mtbf: HOUR, min: 100, max: 60_000 };

  test('begins at its shortest, and follows what checkpoints cost', () => {
    const pace = new AdaptivePace(settings);
    expect(pace.intervalMs).toBe(100);
    pace.learn(50, 20);
    expect(pace.intervalMs).toBeCloseTo(dalyInterval(50, HOUR));
    const before = pace.intervalMs;
    for (let i = 0; i < 50; i++) pace.learn(5, 20);
    expect(pace.intervalMs).toBeLessThan(before / 2);
    expect(pace.intervalMs).toBeCloseTo(dalyInterval(5, HOUR), -1);
  });

  test('stays between its bounds, and is no shorter than a checkpoint takes', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e7, noNaN: true }),
        fc.double({ min: 0, max: 1e5, noNaN: true }),
        (pause, commit) => {
          const pace = new AdaptivePace(settings);
          pace.learn(pause, commit);
          expect(pace.intervalMs).toBeGreaterThanOrEqual(Math.max(100, Math.min(commit, 60_000)));
          expect(pace.intervalMs).toBeLessThanOrEqual(60_000);
        },
      ),
    );
  });
});

describe('a schedule', () => {
  test('keeps its beat and leaves out what it missed, counting it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 0, max: 100_000 }),
        (interval, late) => {
          const pace = every(interval);
          const next = pace.next(1_000_000, 1_000_000 + late);
          expect((next - 1_000_000) % interval).toBe(0);
          expect(next).toBeGreaterThanOrEqual(1_000_000 + Math.max(late, 1));
          expect(next - interval).toBeLessThan(1_000_000 + Math.max(late, 1));
          expect(pace.missed(1_000_000, next)).toBe((next - 1_000_000) / interval - 1);
        },
      ),
    );
  });

  test('by cron has a base at once, then only its times', () => {
    expect(paceOf({ cron: '*/10 * * * *' } as MachineSettings).description).toBe('cron */10 * * * *');
    let wall = 0;
    const pace = new CronPace('*/10 * * * *', () => wall);
    const now = new Date(2030, 0, 1, 12, 3).getTime();
    const at = (minute: number): number => new Date(2030, 0, 1, 12, minute).getTime();
    // A steady clock that happens to show the same.
    const then = <T>(time: number, ask: (time: number) => T): T => ask((wall = time));
    expect(then(now, (time) => pace.first(time, false))).toBe(now);
    expect(then(now, (time) => pace.first(time, true))).toBe(at(10));
    expect(then(at(11), (time) => pace.next(at(10), time))).toBe(at(20));
    expect(then(at(34), (time) => pace.next(at(10), time))).toBe(at(40));
    expect(pace.missed(at(10), at(40))).toBe(2);
  });
});
