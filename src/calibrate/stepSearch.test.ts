import { describe, expect, it } from 'vitest';
import { findStep } from './stepSearch.ts';

/** A loss that grows with a power of the step, as real ones nearly do. */
const world = (scale: number, power: number) => {
  const steps: number[] = [];
  const trial = async (step: number) => {
    steps.push(step);
    return { bytes: 1e6 / step, loss: (step / scale) ** power };
  };
  return { steps, trial };
};

describe('findStep', () => {
  it.each([
    [700, 900, 1.5],
    [700, 9000, 2.4],
    [30_000, 50, 0.8],
    [5, 2000, 3],
  ])('from %i to a goal at about %i, power %f', async (first, goal, power) => {
    const { steps, trial } = world(goal / 0.03 ** (1 / power), power);
    const found = await findStep(first, 0.03, trial);
    expect(found.loss).toBeLessThanOrEqual(0.03);
    expect(found.step).toBeGreaterThan(0.9 * goal);
    expect(steps.length).toBeLessThanOrEqual(9);
    expect(new Set(steps).size).toBe(steps.length);
  });

  it('stops at the ends of the scale', async () => {
    const harmless = await findStep(100, 0.03, async () => ({ bytes: 1, loss: 0 }));
    expect(harmless.step).toBe(65536);
    const hopeless = await findStep(100, 0.03, async () => ({ bytes: 1, loss: 5 }));
    expect(hopeless).toEqual({ step: 1, bytes: 1, loss: 5 });
  });
});
