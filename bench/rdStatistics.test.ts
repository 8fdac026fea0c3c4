// The statistics behind the rate–accuracy tables, on numbers that can be worked out by hand.
import { describe, expect, it } from 'vitest';
import {
  bytesAtDivergence,
  bytesAtLoss,
  divergence,
  divergenceOfOnePoint,
  frontier,
  interval,
  type Point,
  pointOf,
  resamples,
  wilson,
} from './rdStatistics.ts';

const point = (bytes: number, kl: number, loss = 0): Point => ({ bytes, kl, loss });

describe('divergence', () => {
  it('is zero for logits that differ by a constant and log 2 for a coin against a certainty', () => {
    expect(divergence([1, 2, 3], [11, 12, 13])).toBeCloseTo(0, 12);
    expect(divergence([100, 0], [0, 0])).toBeCloseTo(Math.log(2), 10);
  });

  it('stays finite where a probability underflows', () => {
    expect(divergence([0, 0], [2000, 0])).toBeCloseTo(1000 - Math.log(2), 6);
  });
});

describe('wilson', () => {
  it('gives the textbook interval and stays inside 0…1', () => {
    const [low, high] = wilson(8, 10);
    expect(low).toBeCloseTo(0.4902, 3);
    expect(high).toBeCloseTo(0.9433, 3);
    expect(wilson(10, 10)[1]).toBeLessThanOrEqual(1 + 1e-12);
    expect(wilson(0, 10)[0]).toBeGreaterThanOrEqual(-1e-12);
  });
});

describe('pointOf', () => {
  it('counts a picture as often as the sample names it', () => {
    const sampled = { bytes: [10, 20, 60], top: [1, 2, 3], kl: [0, 0.3, 0] };
    const all = pointOf(sampled, [0, 1, 2], [1, 5, 3], [true, true, false]);
    expect(all).toEqual({ bytes: 30, kl: expect.closeTo(0.1), loss: 0 }); // one lost, one gained
    expect(pointOf(sampled, [1, 1, 1], [1, 5, 3], [true, true, false]).loss).toBe(1);
  });
});

describe('bytes at equal loss', () => {
  it('drops settings that cost more and lose more', () => {
    const path = frontier([point(400, 0.2), point(100, 1), point(300, 0.1), point(200, 1.5)]);
    expect(path.map(({ bytes }) => bytes)).toEqual([100, 300]);
  });

  it('interpolates on logarithmic scales', () => {
    const reached = bytesAtDivergence([point(100, 0.1), point(400, 0.001)], 0.01);
    expect(reached.bytes).toBeCloseTo(200, 9);
    expect(reached.atMost).toBe(false);
  });

  it('says where a curve never gets there, or starts below', () => {
    expect(bytesAtDivergence([point(100, 0.1)], 0.01).bytes).toBeNaN();
    expect(bytesAtDivergence([point(100, 0.1)], 0.2)).toEqual({ bytes: 100, atMost: true });
  });

  it('pools losses that rise with the bytes before it looks for the crossing', () => {
    // 0.03 and 0.05 become 0.04 each; from there to 0 in one octave, so 0.01 is three quarters of the way.
    const points = [point(100, 1, 0.03), point(200, 0.5, 0.05), point(400, 0.1, 0)];
    expect(bytesAtLoss(points, 0.01).bytes).toBeCloseTo(200 * 2 ** 0.75, 9);
  });

  it('finds the divergence of one point through noise around a line', () => {
    const points = [point(1, 0.1, 0.05), point(1, 0.2, 0.1), point(1, 0.0001, -0.9)];
    expect(divergenceOfOnePoint(points)).toBeCloseTo(0.02, 9);
  });
});

describe('bootstrap', () => {
  it('draws the same indices every time, all of them in range', () => {
    const [a] = resamples(50, 2);
    expect(a).toEqual(resamples(50, 1)[0]);
    expect(Math.max(...a!)).toBeLessThan(50);
    expect(new Set(a).size).toBeGreaterThan(20);
  });

  it('takes the middle 95 % and passes over what is no number', () => {
    const values = [...Array.from({ length: 201 }, (_, i) => i), Number.NaN];
    expect(interval(values)).toEqual([5, 195]);
  });
});
