import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PauseForecast, waitForBudget } from '../src/index.js';

const never = new AbortController().signal;

describe('a forecast of pauses', () => {
  test('is exact for pauses that have a fixed part and one for each page', () => {
    const pages = fc.uniqueArray(fc.integer({ min: 1, max: 100_000 }), { minLength: 2, maxLength: 30 });
    const shape = fc.record({ fixed: fc.nat(50), perPage: fc.integer({ min: 1, max: 100 }) });
    fc.assert(
      fc.property(pages, shape, fc.nat(200_000), (known, { fixed, perPage }, asked) => {
        const forecast = new PauseForecast();
        for (const count of known) forecast.learn(count, fixed + (count * perPage) / 1000);
        expect(forecast.estimate(asked)).toBeCloseTo(fixed + (asked * perPage) / 1000, 2);
      }),
    );
  });

  test('expects no pause with pages to take no time', () => {
    const pause = fc.record({
      pages: fc.integer({ min: 1, max: 1_000 }),
      ms: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(
        fc.array(pause, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1 }),
        (known, asked) => {
          const forecast = new PauseForecast();
          for (const { pages, ms } of known) forecast.learn(pages, ms);
          expect(forecast.estimate(asked)).toBeGreaterThan(0);
        },
      ),
    );
  });

  test('knows nothing at first, and puts all down to pages that were all alike', () => {
    const forecast = new PauseForecast();
    expect(forecast.estimate(10)).toBeUndefined();
    for (const ms of [4, 6]) forecast.learn(100, ms);
    expect(forecast.estimate(100)).toBeCloseTo(6);
    expect(forecast.estimate(300)).toBeCloseTo(16);
  });
});

describe('waiting for a budget', () => {
  const budget = { maxMs: 5, waitMs: 60, otherwise: 'refuse' } as const;

  test('ends when the pause is expected to fit, or nothing is known of it', async () => {
    const estimates = [9, 8, 4];
    const outcome = await waitForBudget(budget, () => estimates.shift(), never);
    expect(outcome).toMatchObject({ maxMs: 5, estimatedMs: 4 });
    expect(outcome.waitedMs).toBeGreaterThan(0);
    expect(await waitForBudget(budget, () => undefined, never)).not.toHaveProperty('estimatedMs');
  });

  test('ends as it was told when there is no such moment', async () => {
    const busy = waitForBudget(budget, () => 7, never);
    await expect(busy).rejects.toMatchObject({
      code: 'MACHINE_BUSY',
      retryable: true,
      details: { pauseBudget: true, maxMs: 5, estimatedMs: 7 },
    });
    const exceeded = await waitForBudget({ ...budget, otherwise: 'exceed' }, () => 7, never);
    expect(exceeded.estimatedMs).toBe(7);
    const gone = waitForBudget({ ...budget, waitMs: 60_000 }, () => 7, AbortSignal.timeout(30));
    await expect(gone).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
