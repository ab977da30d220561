import { describe, expect, it } from 'vitest';
import { qemuRows } from '../src/end-to-end/qemu-rows.js';
import { quantile } from '../src/end-to-end/statistics.js';
import { isMet } from '../src/section.js';

describe('quantile', () => {
  it('is the nearest rank, and of few values the largest', () => {
    const values = [5, 1, 4, 2, 3];
    expect([0, 0.2, 0.5, 0.8, 0.99, 1].map((share) => quantile(values, share))).toEqual([1, 1, 3, 4, 5, 5]);
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe('the rows of a real guest', () => {
  const increment = {
    ...{ timeMs: 50, pauseMs: 13, bytes: 150, dirtyPages: 10, unchangedPages: 1, changedWords: 9 },
    ...{ captureMs: 20, diffMs: 2, plain: { timeMs: 80, bytes: 1000 } },
  };
  const samples = {
    saves: [{ timeMs: 1000, pauseMs: 800, bytes: 10_000 }],
    increments: [increment],
    drained: [
      { pauseMs: 10, bytesBefore: 0 },
      { pauseMs: 10, bytesBefore: 41_040 },
    ],
  };

  it('meet targets that are just met, and miss them by a little more', () => {
    const targeted = qemuRows('guest', samples, 'all').filter((row) => row.target);
    expect(targeted.map((row) => [row.variant, row.ratio])).toEqual([
      ['fitdoc', 0.05],
      ['fitdoc', 0.15],
      ['fitdoc', 1.3],
      ['fitdoc', 1.3],
    ]);
    expect(targeted.every(isMet)).toBe(true);
    const worse = { ...increment, timeMs: 51, pauseMs: 13.1, bytes: 151 };
    const missed = qemuRows('guest', { ...samples, increments: [worse] }, 'all').filter((row) => row.target);
    expect(missed.map((row) => isMet(row))).toEqual([false, false, false, false]);
  });

  it('hold only the pause of a guest of empty memory against a target', () => {
    const names = qemuRows('guest', samples, 'pause').flatMap((row) => (row.target ? [row.name] : []));
    expect(names).toEqual(['guest: pause p50', 'guest: pause p99']);
  });
});
