import { describe, expect, it } from 'vitest';
import { parts } from '../src/instant/filling.js';
import { instantRows } from '../src/instant/rows.js';
import { FULL, LAZY, RECORDED, type Sample } from '../src/instant/turns.js';
import { isMet } from '../src/section.js';

describe('what is filled of a guest', () => {
  it('is everything from an address up, around the hole below 4 GiB', () => {
    expect(parts(24, 192)).toEqual([{ from: 24, mebibytes: 168 }]);
    expect(parts(24, 4096)).toEqual([
      { from: 24, mebibytes: 1024 },
      { from: 1048, mebibytes: 1024 },
      { from: 2072, mebibytes: 1000 },
      { from: 4096, mebibytes: 1024 },
    ]);
  });
});

describe('the rows of lazy restores', () => {
  const sample = (way: string, size: string, delayMs: number, scale: number): Sample => ({
    ...{ round: 0, size, delayMs, way, openedMs: 5 },
    ...(way === FULL.name
      ? { firstInstructionMs: 4000, firstBeatMs: 4100, sentMs: 4000 }
      : { firstInstructionMs: 100 * scale, firstBeatMs: 1000 * scale, sentMs: 4800 * scale }),
    ...(way === RECORDED.name && { firstBeatMs: 600 * scale }),
  });
  const of = (scale: number): Sample[] =>
    [0, 10].flatMap((delayMs) =>
      ['small', 'large'].flatMap((size) =>
        [FULL, LAZY, RECORDED].map(({ name }) => {
          return sample(name, size, delayMs, size === 'large' ? scale : 1);
        }),
      ),
    );
  const verdicts = (samples: readonly Sample[]): (string | boolean | undefined)[][] =>
    instantRows(samples).flatMap((row) => (row.target ? [[row.name, row.variant, isMet(row)]] : []));

  it('meet targets that are just met', () => {
    expect(verdicts(of(1)).filter(([, , met]) => met !== true)).toEqual([]);
    expect(verdicts(of(1))).toContainEqual(['small, no delay: first instruction', 'lazy', true]);
    expect(verdicts(of(1))).toContainEqual(['small, 10 ms of delay: first beat', 'lazy', true]);
    // A slow store need not let a guest run at once.
    expect(verdicts(of(1)).some(([name]) => name === 'small, 10 ms of delay: first instruction')).toBe(false);
  });

  it('miss them by a little more', () => {
    const missed = verdicts(of(1.31)).filter(([, , met]) => met === false);
    expect(missed).toContainEqual(['large, no delay: first instruction', 'lazy', false]);
    expect(missed).toContainEqual(['large, no delay: all pages sent', 'lazy', false]);
    expect(missed).toContainEqual(['large, 10 ms of delay: first beat', 'lazy', false]);
    expect(missed).toContainEqual(['first instruction, no delay, lazy', 'large', false]);
  });

  it('hold a recorded order against none in the same round', () => {
    const slower = of(1).map((each) => (each.way === RECORDED.name ? { ...each, firstBeatMs: 610 } : each));
    const missed = verdicts(slower).filter(([, , met]) => met === false);
    expect(missed).toContainEqual(['small, no delay: first beat', 'lazy, recorded order', false]);
  });
});
