// The layout of a frame: ranges do not overlap, bounds hold, and what no device could hold is refused.
import { expect, test } from 'vitest';
import { type CodecParams, PRESETS, planSlicer } from '../params.ts';
import { encodeSlicer } from '../reference/encodeSlicer.ts';
import { VECTORS } from '../reference/vectors.ts';
import { ALIGNMENT, planFrame } from './framePlan.ts';
import { outputBound } from './slicerFamily.ts';
import { HARDWARE } from './tuning.ts';

const LIMITS = { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 };
const feature = (count: number, dtype: 'float32' | 'int64' = 'float32') => ({ shape: [count], dtype });
type Features = ReturnType<typeof feature>[];
const layOut = (features: Features, params: CodecParams) => {
  const each = features.map(() => params);
  return planFrame(features, each, LIMITS, HARDWARE);
};

test('ranges are aligned and do not overlap, whatever the mix of tensors', () => {
  const features = [feature(5), feature(7, 'int64'), feature(0), feature(100_000), feature(3)];
  const plan = layOut(features, { ...PRESETS['slicer-fine'], asymmetry: 0.5 });
  const ranges = plan.tensors.flatMap((t) => [...t.ranges.values()]).sort((a, b) => a.offset - b.offset);
  expect(ranges).toHaveLength(3 * 7);
  let end = 0;
  for (const { offset, size } of ranges) {
    expect(offset % ALIGNMENT).toBe(0);
    expect(offset).toBeGreaterThanOrEqual(end);
    end = offset + size;
  }
  expect(end).toBeLessThanOrEqual(plan.arenaBytes);
  expect(plan.tensors.map((t) => t.plan.stages.length)).toEqual([2, 0, 0, 2, 2]);
  expect(plan.tensors.map((t) => t.copy?.size)).toEqual([undefined, 56, undefined, undefined, undefined]);
  expect(plan.tensors[1]!.copy!.offset).toBeGreaterThanOrEqual(plan.outputBytes);
});

test('what is read back lies in front, what must be zero in one piece behind it', () => {
  const plan = layOut([feature(50), feature(9000)], PRESETS.slicer);
  const { zeroed, outputBytes } = plan;
  for (const { plan: tensor, ranges } of plan.tensors)
    for (const [name, { offset, size }] of ranges) {
      const region = tensor.regions[name]!;
      expect(offset + size <= outputBytes, name).toBe(region.output === true);
      const isZeroed = offset >= zeroed.offset && offset + size <= zeroed.offset + zeroed.size;
      expect(isZeroed, name).toBe(region.zeroed === true);
    }
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
  const plan = layOut([feature(2 ** 24)], everything);
  expect(plan.arenaBytes).toBeLessThan(LIMITS.maxBufferSize);
  const refused = expect.objectContaining({ code: 'TOO_LARGE' });
  expect(() => layOut([feature(2 ** 24 + 1)], everything)).toThrow(refused);
  expect(() => layOut([feature(2 ** 24), feature(2 ** 24)], everything)).toThrow(refused);
  expect(() => layOut([feature(2 ** 25, 'int64')], PRESETS.raw)).toThrow(refused);
});
