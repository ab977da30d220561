import { describe, expect, it } from 'vitest';
import { countRows, mergedSince, quantileRows, turnsOf, type Side } from '../src/daemon/turns.js';
import { isMet } from '../src/section.js';

const nothing = { merges: 0, mergedBytes: 0, capturedBytes: 0, removed: 0 };
const side = (name: string, ...turns: number[][]): Side => ({ name, turns, merged: [] });
const hundred = (value: number, longest = value): number[] => [...Array<number>(99).fill(value), longest];

describe('the quantiles of two sides', () => {
  it('are those of all turns together, and only the p99 has a target', () => {
    const alone = side('alone', hundred(1), hundred(2));
    const beside = side('beside', hundred(1.1), hundred(2.4));
    const rows = quantileRows('pause', alone, beside, 1.2);
    const found = rows.map(({ name, variant, value }) => [name, variant, value]);
    expect(found.slice(0, 2)).toEqual([
      ['pause, p50', 'alone', 1],
      ['pause, p50', 'beside', 1.1],
    ]);
    const targeted = rows.filter(({ target }) => target);
    expect(targeted.map(({ name, ratio }) => [name, ratio])).toEqual([['pause, p99', 1.2]]);
    expect(targeted.every(isMet)).toBe(true);
    const worse = quantileRows('pause', alone, side('beside', hundred(1), hundred(2.5)), 1.2);
    expect(worse.filter(({ target }) => target).map(isMet)).toEqual([false]);
  });

  it('of a turn that was disturbed weigh no more than another', () => {
    const calm = [hundred(1), hundred(1), hundred(1)];
    const disturbed = [hundred(1), Array<number>(100).fill(9), hundred(1)];
    const last = quantileRows('pause', side('alone', ...calm), side('beside', ...disturbed), 1.2).at(-1);
    expect([last?.name, last?.ratio]).toEqual(['pause, p99 of a turn, median', 1]);
  });
});

describe('what is counted', () => {
  it('is what was merged between two looks', () => {
    const before = { merges: 3, mergedBytes: 100, capturedBytes: 50, removed: 2 };
    const now = { merges: 5, mergedBytes: 130, capturedBytes: 70, removed: 9 };
    const merged = [mergedSince(before, now), nothing];
    const rows = countRows('of', [{ name: 'with', turns: [[1, 2], [3]], merged }]);
    expect(rows.map(({ value, unit }) => [value, unit])).toEqual([
      [3, 'checkpoints'],
      [2, 'merges'],
      [7, 'objects'],
      [1.5, 'B'],
    ]);
  });

  it('are turns of 20 s that fill the minutes', () => {
    expect(turnsOf(20, false)).toEqual({ rounds: 30, turnMs: 20_000 });
    expect(turnsOf(0.1, false).rounds).toBe(2);
  });
});
