import { describe, expect, it } from 'vitest';
import { qemuRows } from '../src/end-to-end/qemu-rows.js';
import { quantile } from '../src/end-to-end/statistics.js';
import { selectGuests } from '../src/end-to-end/which-guests.js';
import { askedMinutes } from '../src/minutes.js';
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
    ...{ timeMs: 50, pauseMs: 10, bytes: 150, dirtyPages: 10, unchangedPages: 1, changedWords: 9 },
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
      ['fitdoc', 1],
      ['fitdoc', 1],
    ]);
    expect(targeted.every(isMet)).toBe(true);
    const worse = { ...increment, timeMs: 51, pauseMs: 11.1, bytes: 151 };
    const missed = qemuRows('guest', { ...samples, increments: [worse] }, 'all').filter((row) => row.target);
    expect(missed.map((row) => isMet(row))).toEqual([false, false, false, false]);
  });

  it('hold only the pause of a guest of empty memory against a target', () => {
    const names = qemuRows('guest', samples, 'pause').flatMap((row) => (row.target ? [row.name] : []));
    expect(names).toEqual(['guest: pause p50', 'guest: pause p99']);
  });
});

describe('what is asked for by the environment', () => {
  it('is a number of minutes, or nothing', () => {
    expect(askedMinutes('20')).toBe(20);
    expect(askedMinutes('')).toBeUndefined();
    for (const wrong of ['0', '-1', 'abc', 'Infinity', '20m'])
      expect(() => askedMinutes(wrong)).toThrow(wrong);
  });

  it('takes guests by parts of their names, and refuses a part that fits none', () => {
    const all = ['QEMU, redis idle', 'KVM 192 MiB', 'KVM 1 GiB'].map((name) => ({ name }));
    const named = (...asked: string[]) => selectGuests(all, asked).map(({ name }) => name);
    expect(selectGuests(all, undefined)).toBe(all);
    expect(named('kvm')).toEqual(['KVM 192 MiB', 'KVM 1 GiB']);
    expect(named('192', 'redis')).toEqual(['QEMU, redis idle', 'KVM 192 MiB']);
    expect(() => named('kvm', 'rediss')).toThrow('rediss');
  });
});
