import { describe, expect, it } from 'vitest';
import { meanInterval, wilson } from './intervals.ts';

describe('wilson', () => {
  // Values of R: binom::binom.confint(x, n, methods = 'wilson').
  it.each([
    [0, 10, 0, 0.2775],
    [10, 10, 0.7225, 1],
    [81, 263, 0.2553, 0.3662],
    [150, 300, 0.4437, 0.5563],
  ])('%i of %i', (hits, count, low, high) => {
    const interval = wilson(hits, count);
    expect(interval.low).toBeCloseTo(low, 3);
    expect(interval.high).toBeCloseTo(high, 3);
    expect(interval.value).toBe(hits / count);
  });

  it('knows nothing without a trial', () => {
    expect(wilson(0, 0)).toEqual({ value: 0, low: 0, high: 1 });
  });
});

describe('meanInterval', () => {
  it('is the mean ± 1.96 standard errors', () => {
    const { value, low, high } = meanInterval([1, 2, 3, 4]);
    const half = 1.96 * Math.sqrt(5 / 3 / 4);
    expect(value).toBe(2.5);
    expect(low).toBeCloseTo(2.5 - half, 12);
    expect(high).toBeCloseTo(2.5 + half, 12);
  });

  it('has no width when all are equal, or only one is there', () => {
    expect(meanInterval([7, 7, 7])).toEqual({ value: 7, low: 7, high: 7 });
    expect(meanInterval([7])).toEqual({ value: 7, low: 7, high: 7 });
  });
});
