import { describe, expect, test } from 'vitest';
import { DirtyForecast } from '../src/index.js';

describe('a forecast of dirty pages', () => {
  test('knows nothing before an increment', () => {
    const forecast = new DirtyForecast();
    forecast.learn(0);
    expect(forecast.estimate(1000)).toBeUndefined();
  });

  test('is what the last ones brought, more after a longer time, and forgets slowly', () => {
    const forecast = new DirtyForecast();
    forecast.learn(0);
    forecast.learn(1000, 800);
    expect(forecast.estimate(1500)).toBe(800);
    expect(forecast.estimate(2000)).toBe(800);
    expect(forecast.estimate(5000)).toBe(1600);
    forecast.learn(2000, 100);
    expect(forecast.estimate(2500)).toBe(720);
    forecast.learn(3000);
    expect(forecast.estimate(3500)).toBe(648);
  });
});
