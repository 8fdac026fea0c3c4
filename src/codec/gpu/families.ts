// The codec families that run on the GPU, by name, and which of them takes a feature. A new family is one entry here.
import { IsthmusError } from '../../errors.ts';
import { bytesPerElement, type DType, elementCount } from '../../tensor.ts';
import type { CodecParams } from '../params.ts';
import type { FeatureSpec, GpuFamily, TensorPlan } from './family.ts';
import { ISTHMUS } from './isthmusFamily.ts';
import { RANS } from './ransFamily.ts';
import { RAW } from './rawFamily.ts';
import { SLICER } from './slicerFamily.ts';
import type { Tuning } from './tuning.ts';

const FAMILIES: Readonly<Record<string, GpuFamily>> = {
  raw: RAW,
  slicer: SLICER,
  rans: RANS,
  isthmus: ISTHMUS,
};

function familyOf({ family }: CodecParams): GpuFamily {
  if (Object.hasOwn(FAMILIES, family)) return FAMILIES[family]!;
  throw new IsthmusError(
    'CODEC_INVALID',
    `The GPU has no codec family '${family}'. Use raw, slicer, rans or isthmus.`,
  );
}

/** What tells parameters apart. */
export function keyOf(params: CodecParams): string {
  const family = familyOf(params);
  return family.key ? `${params.family} ${family.key(params)}` : JSON.stringify(params);
}

/**
 * @throws IsthmusError CODEC_INVALID, INPUT_INVALID (shape), TOO_LARGE
 */
export function planTensor(
  { dtype, shape }: { dtype: DType; shape: readonly number[] },
  params: CodecParams,
  tuning: Tuning,
): { feature: FeatureSpec; plan: TensorPlan } {
  const count = elementCount(shape);
  const feature = { dtype, shape, count, byteLength: count * bytesPerElement(dtype) };
  const family = familyOf(params);
  const plan = family.dtypes.includes(dtype)
    ? family.plan(feature, params, tuning)
    : RAW.plan(feature, { family: 'raw' }, tuning);
  return { feature, plan };
}
