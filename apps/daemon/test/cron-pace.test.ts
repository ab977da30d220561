import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CronPace } from '../src/supervisor/cron-pace.js';

const zone = process.env['TZ'];
beforeAll(() => {
  process.env['TZ'] = 'Europe/Berlin';
});
afterAll(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

const at = (text: string): number => Date.parse(text);

/** The runs of a pattern after a moment, in UTC. */
function runs(pattern: string, from: string, count: number): string[] {
  const pace = new CronPace(pattern);
  const found: string[] = [];
  for (let time = at(from); found.length < count;) {
    time = pace.after(time);
    found.push(new Date(time).toISOString().slice(5, 16));
  }
  return found;
}

describe('cron when the clocks change', () => {
  test('runs a local time that is left out once, right after', () => {
    // On 29 March, 2:00 to 3:00 is not there.
    expect(runs('30 2 * * *', '2026-03-28T12:00Z', 2)).toEqual(['03-29T01:00', '03-30T00:30']);
    expect(runs('*/20 2 * * *', '2026-03-28T12:00Z', 3)).toEqual([
      '03-29T01:00',
      '03-30T00:00',
      '03-30T00:20',
    ]);
    expect(runs('0 2,3 * * *', '2026-03-28T12:00Z', 3)).toEqual([
      '03-29T01:00',
      '03-30T00:00',
      '03-30T01:00',
    ]);
    expect(runs('30 2 29 3 *', '2026-01-01T12:00Z', 1)).toEqual(['03-29T01:00']);
  });

  test('runs a local time that comes twice the first time', () => {
    // On 25 October, 2:00 to 3:00 comes at 0:00 UTC and at 1:00 UTC.
    expect(runs('30 2 * * *', '2026-10-24T12:00Z', 2)).toEqual(['10-25T00:30', '10-26T01:30']);
    expect(runs('*/20 2 * * *', '2026-10-24T12:00Z', 4)).toEqual([
      ...['10-25T00:00', '10-25T00:20', '10-25T00:40', '10-26T01:00'],
    ]);
  });

  test('goes on evenly where it runs at every hour', () => {
    const hours = (from: string): string[] => runs('*/30 * * * *', from, 6).map((run) => run.slice(6));
    expect(hours('2026-03-29T00:00Z')).toEqual(['00:30', '01:00', '01:30', '02:00', '02:30', '03:00']);
    expect(hours('2026-10-24T23:30Z')).toEqual(['00:00', '00:30', '01:00', '01:30', '02:00', '02:30']);
    expect(runs('7 */2 * * *', '2026-03-29T00:00Z', 2)).toEqual(['03-29T02:07', '03-29T04:07']);
  });

  test('a fixed daily time runs once on every day of a year, whatever the day is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), (hour, minute) => {
        const pace = new CronPace(`${minute} ${hour} * * *`);
        const days = new Set<string>();
        let count = 0;
        for (
          let time = pace.after(at('2026-01-01T12:00Z'));
          time <= at('2027-01-01T12:00Z');
          time = pace.after(time)
        ) {
          const run = new Date(time);
          days.add(`${run.getMonth()}-${run.getDate()}`);
          count++;
        }
        expect(count).toBe(365);
        expect(days.size).toBe(365);
      }),
      { numRuns: 20 },
    );
  });
});

describe('cron when somebody sets the clock', () => {
  /** A wall clock beside a steady one. */
  class Clocks {
    steady = 0;
    off = at('2026-06-01T10:00:00Z');
    wall = (): number => this.steady + this.off;
  }

  function begun(): { clocks: Clocks; pace: CronPace; due: number } {
    const clocks = new Clocks();
    const pace = new CronPace('*/5 * * * *', clocks.wall);
    return { clocks, pace, due: pace.first(clocks.steady, true) };
  }

  test('back by an hour it waits no longer than its interval', () => {
    const { clocks, pace, due } = begun();
    expect(due).toBe(300_000);
    clocks.steady = 240_000;
    clocks.off -= 3_600_000;
    expect(pace.revise(due, clocks.steady)).toBe(300_000);
    clocks.off -= 90_000;
    expect(pace.revise(due, clocks.steady)).toBeLessThanOrEqual(clocks.steady + 300_000);
  });

  test('forward by years it runs once, and back again it goes on', () => {
    const { clocks, pace, due } = begun();
    clocks.steady = 60_000;
    clocks.off += 5 * 365 * 86_400_000;
    const now = pace.revise(due, clocks.steady);
    expect(now).toBe(clocks.steady);
    const next = pace.next(now, clocks.steady);
    expect(next - clocks.steady).toBeGreaterThan(0);
    expect(next - clocks.steady).toBeLessThanOrEqual(300_000);
    clocks.off -= 5 * 365 * 86_400_000;
    expect(pace.revise(next, clocks.steady)).toBe(300_000);
  });

  test('slewed it changes nothing', () => {
    const { clocks, pace, due } = begun();
    clocks.off += 400;
    expect(pace.revise(due, clocks.steady)).toBe(due);
  });
});
