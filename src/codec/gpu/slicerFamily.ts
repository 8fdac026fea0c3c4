// Family slicer on the GPU: its ranges, its seven passes (twelve when signs compete differently) and the reading of its
// bytes, whose params the last pass writes exactly as FORMAT.md has them.
import { IsthmusError } from '../../errors.ts';
import type { DType } from '../../tensor.ts';
import {
  type EncodedTensor,
  planSlicer,
  type SlicerParams,
  type SlicerPlan,
  survivorLimit,
  TENSOR_FLAGS,
} from '../params.ts';
import { notFinite } from '../reference/float.ts';
import type { FeatureSpec, GpuFamily, PassSpec, Region, Stage, TensorPlan } from './family.ts';
import { type SlicerShader, slicerShader } from './slicerShaders.ts';
import type { Tuning } from './tuning.ts';

/** Bytes of `Selection` and `Chosen` in slicerState.wgsl; WebGPU itself refuses a binding that is too small. */
const SELECTION_BYTES = 156_812;
const CHOSEN_BYTES = 24;
const COUNT_ROW_BYTES = 48 * 4;
/** Words before the payload: HEADER_WORDS in slicerState.wgsl. */
const HEADER_WORDS = 40;
const MAX_ELEMENTS = 2 ** 24;

/**
 * The selections, by their number in slicerState.wgsl. `only` does everything when signs compete alike; otherwise
 * `survive` finds who survives and `split` parts the survivors into blocks.
 */
const PHASES = { only: 0, survive: 1, split: 2 } as const;
type PhaseName = keyof typeof PHASES;

interface Step {
  file: SlicerShader;
  constants?: Record<string, number>;
  /** One workgroup whatever the size. */
  single?: true;
}

const SELECT: readonly Step[] = [
  { file: 'stats' },
  { file: 'narrow', constants: { LEVEL: 2 } },
  { file: 'narrow', constants: { LEVEL: 3 } },
  { file: 'count' },
  { file: 'prefix', single: true },
];
const STEPS: Record<PhaseName, readonly Step[]> = {
  only: [...SELECT, { file: 'scatter' }, { file: 'pack' }],
  survive: SELECT,
  split: [...SELECT, { file: 'scatter' }, { file: 'pack' }],
};

const words = (bits: number) => Math.ceil(bits / 32);

/** Payload bytes that `count` elements with at most `limit` survivors cannot exceed, header included. */
export function outputBound(count: number, limit: number, blocks: number): number {
  const codes = words(limit * 8) + blocks;
  return 4 * (HEADER_WORDS + words(count) + words(limit * Math.log2(blocks)) + words(limit) + codes);
}

function passOf({ file, constants }: Step, phase: PhaseName, dtype: DType, tuning: Tuning): PassSpec {
  const bins = file === 'stats' ? { SHARED_BINS: tuning.sharedBins ? 2048 : 1 } : {};
  return {
    ...slicerShader(file, tuning.scan),
    constants: {
      WORKGROUP: tuning.workgroup,
      PHASE: PHASES[phase],
      ...(file !== 'pack' && { FEATURE_FLOAT16: dtype === 'float16' ? 1 : 0 }),
      ...bins,
      ...constants,
    },
  };
}

export const SLICER: GpuFamily<SlicerParams> = {
  dtypes: ['float32', 'float16'],
  plan(feature, params, tuning): TensorPlan {
    const plan = planSlicer(params);
    const { count } = feature;
    if (count > MAX_ELEMENTS)
      throw new IsthmusError(
        'TOO_LARGE',
        `A feature of ${count} elements is above 2^24. Cut the model where the feature is smaller.`,
      );
    if (count === 0) return { regions: {}, stages: [], read: () => constant(feature, 0, new Uint8Array(4)) };
    const limit = survivorLimit(count, plan.keepQ16);
    const tiles = Math.ceil(count / (tuning.workgroup * 32)); // one word of the bitmap per invocation
    const phases: PhaseName[] = plan.asymmetryQ8 === 256 ? ['only'] : ['survive', 'split'];
    const regions: Record<string, Region> = {
      output: { bytes: outputBound(count, limit, plan.blocks), output: true },
      chosen: { bytes: CHOSEN_BYTES, zeroed: true },
      counts: { bytes: tiles * COUNT_ROW_BYTES },
      tags: { bytes: Math.max(4, limit * 4) },
      grouped: { bytes: Math.max(4, limit * 4) },
    };
    for (const phase of phases) regions[phase] = { bytes: SELECTION_BYTES, zeroed: true };
    const stages = phases.map(
      (phase): Stage => ({
        uniform: uniform(count, limit, tiles, plan, phase),
        storage: [phase, 'chosen', 'counts', 'tags', 'grouped', 'output'],
        dispatches: STEPS[phase].map((step) => ({
          pass: passOf(step, phase, feature.dtype, tuning),
          workgroups: step.single ? 1 : Math.min(tiles, tuning.workgroups),
        })),
      }),
    );
    return { regions, stages, read: (output) => read(feature, plan, output('output')) };
  },
};

function uniform(
  count: number,
  limit: number,
  tiles: number,
  plan: SlicerPlan,
  phase: PhaseName,
): Uint32Array {
  return Uint32Array.of(
    count,
    0, // the encoder's
    limit,
    plan.blocks,
    phase === 'survive' ? 1 : plan.blocks,
    plan.asymmetryQ8,
    plan.mode === 'integer' ? 1 : 0,
    plan.budgetQ16,
    Math.max(1, Math.ceil(Math.log2(count))),
    Math.log2(plan.blocks),
    tiles,
  );
}

function read(feature: FeatureSpec, plan: SlicerPlan, output: Uint8Array<ArrayBuffer>): EncodedTensor {
  const header = new Uint32Array(output.buffer, output.byteOffset, 4);
  const flags = header[0]!;
  if (plan.strict && flags & TENSOR_FLAGS.SANITISED) throw notFinite();
  if (flags & TENSOR_FLAGS.CONST) return constant(feature, flags, output.slice(4, 8));
  const start = HEADER_WORDS * 4;
  const end = start + header[2]! * 4;
  if (end > output.length)
    throw new IsthmusError(
      'INTERNAL',
      `The GPU reports ${end - start} payload bytes. Please report this defect.`,
    );
  return {
    family: 'slicer',
    dtype: feature.dtype,
    shape: feature.shape,
    flags,
    params: output.slice(16, 24 + 8 * plan.blocks),
    payload: output.slice(start, end),
  };
}

function constant({ dtype, shape }: FeatureSpec, flags: number, params: Uint8Array): EncodedTensor {
  return {
    family: 'slicer',
    dtype,
    shape,
    flags: flags | TENSOR_FLAGS.CONST,
    params,
    payload: new Uint8Array(0),
  };
}
