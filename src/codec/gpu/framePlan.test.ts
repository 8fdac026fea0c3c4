// The layout of a frame: ranges do not overlap, bounds hold, and what no device could hold is refused.
import { expect, test } from 'vitest';
import { PRESETS, planSlicer } from '../params.ts';
import { encodeSlicer } from '../reference/encodeSlicer.ts';
import { VECTORS } from '../reference/vectors.ts';
import { ALIGNMENT, outputBound, planFrame } from './framePlan.ts';

const LIMITS = { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 };
const TILE = 8192;
const feature = (count: number, dtype: 'float32' | 'int64' = 'float32') => ({ shape: [count], dtype });

test('ranges are aligned and do not overlap, whatever the mix of tensors', () => {
  const features = [feature(5), feature(7, 'int64'), feature(0), feature(100_000), feature(3)];
  const plan = planFrame(features, { ...PRESETS['slicer-fine'], asymmetry: 0.5 }, LIMITS, TILE);
  const ranges = new Map<number, number>();
  for (const tensor of plan.tensors)
    for (const phase of tensor.phases)
      for (const { offset, size } of Object.values(phase.ranges)) ranges.set(offset, size);
  let end = 0;
  for (const [offset, size] of [...ranges].sort(([a], [b]) => a - b)) {
    expect(offset % ALIGNMENT).toBe(0);
    expect(offset).toBeGreaterThanOrEqual(end);
    end = offset + size;
  }
  expect(end).toBeLessThanOrEqual(plan.arenaBytes);
  expect(plan.tensors.map((t) => t.kind)).toEqual(['slicer', 'copy', 'none', 'slicer', 'slicer']);
  expect(plan.tensors[1]!.readback.offset).toBeGreaterThanOrEqual(plan.outputBytes);
});

test('no vector needs more room than its bound', () => {
  for (const { name, shape, plan, data, refused } of VECTORS) {
    if (refused) continue;
    const input = data();
    const limit = Math.ceil((input.length * plan.keepQ16) / 65_536);
    const { payload } = encodeSlicer(input, shape, plan);
    expect(payload.length + 160, name).toBeLessThanOrEqual(outputBound(input.length, limit, plan.blocks));
  }
});

test('the largest tensor FORMAT.md allows fits the default limits; one element more does not', () => {
  const everything = { ...PRESETS.slicer, keep: 1, blocks: 16 as const };
  expect(planSlicer(everything).keepQ16).toBe(65_536);
  const plan = planFrame([feature(2 ** 24)], everything, LIMITS, TILE);
  expect(plan.arenaBytes).toBeLessThan(LIMITS.maxBufferSize);
  const refused = expect.objectContaining({ code: 'TOO_LARGE' });
  expect(() => planFrame([feature(2 ** 24 + 1)], everything, LIMITS, TILE)).toThrow(refused);
  expect(() => planFrame([feature(2 ** 24), feature(2 ** 24)], everything, LIMITS, TILE)).toThrow(refused);
  expect(() => planFrame([feature(2 ** 25, 'int64')], PRESETS.raw, LIMITS, TILE)).toThrow(refused);
});
