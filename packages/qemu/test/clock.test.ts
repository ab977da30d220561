import { afterEach, expect, test, vi } from 'vitest';
import { nowMs } from '../src/clock.js';

afterEach(() => vi.restoreAllMocks());

test('is the system clock, with fractions of a millisecond', () => {
  const before = Date.now();
  const times = Array.from({ length: 1000 }, nowMs);
  expect(times[0]).toBeGreaterThanOrEqual(before);
  expect(times.at(-1)).toBeLessThan(Date.now() + 1);
  expect(times.some((time) => !Number.isInteger(time))).toBe(true);
});

test.each([-3_600_000, -5, 5, 3_600_000])('follows a clock that is set by %i ms', (byMs) => {
  const { now } = Date;
  vi.spyOn(Date, 'now').mockImplementation(() => now() + byMs);
  for (let look = 0; look < 100; look++) {
    const before = Date.now();
    const told = nowMs();
    expect(told).toBeGreaterThanOrEqual(before);
    expect(told).toBeLessThan(Date.now() + 1);
  }
});
