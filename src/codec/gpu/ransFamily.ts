// Family `rans` on the GPU: its ranges, its six passes before the entropy coder's two, and the reading of its header. All
// choices are made there; here the params are put together from numbers.
import { IsthmusError } from '../../errors.ts';
import { type EncodedTensor, planRans, type RansParams, type RansPlan, TENSOR_FLAGS } from '../params.ts';
import { notFinite } from '../reference/float.ts';
import { alphabetOf, defaultLanes, MAX_COLUMNS, writeRansParams } from '../reference/ransLayout.ts';
import type { FeatureSpec, GpuFamily, Region, Stage, TensorPlan } from './family.ts';
import { coderRegions, coderStage, readStream } from './ransCoder.ts';
import { RANS_SHADERS } from './ransShaders.ts';
import type { Tuning } from './tuning.ts';

/** Bytes of `State` and words of `Header` in ransState.wgsl; WebGPU itself refuses a binding that is too small. */
const STATE_BYTES = 4 * (4 + 256 + 768 + 3 + 2 + 256);
const HEADER_WORDS = 8 + 256;
/** Elements per segment: 32 · SEGMENT_WORDS. */
const SEGMENT = 128;
const MAX_ELEMENTS = 2 ** 24;

/**
 * Payload bytes that no feature of `count` elements exceeds. A symbol of D costs its share of the entropy, which for
 * three parts is at most that of the parts and of telling them apart, and 0.2 bits for the table and the coder.
 */
export function payloadBound(count: number, bits: number, lanes: number): number {
  const times = (n: number, share: number) => n * Math.log2(share);
  let most = 0;
  for (let columns = 1; columns <= Math.min(count, MAX_COLUMNS); columns++) {
    const rows = count / columns;
    const symbols = 2 * count + rows;
    const telling = times(2 * count, symbols / count) + times(rows, symbols / rows);
    const parts = count * bits + times(count, columns) + times(rows, columns + 1);
    const entropy = Math.min(parts + telling, times(symbols, alphabetOf(bits, columns)));
    most = Math.max(most, entropy + 0.2 * symbols);
  }
  return Math.ceil(most / 8) + 2 * lanes + 4;
}

export const RANS: GpuFamily<RansParams> = {
  dtypes: ['float32', 'float16'],
  plan(feature, params, tuning): TensorPlan {
    const plan = planRans(params);
    const { count } = feature;
    if (count > MAX_ELEMENTS)
      throw new IsthmusError(
        'TOO_LARGE',
        `A feature of ${count} elements is above 2^24. Cut the model where the feature is smaller.`,
      );
    if (count === 0) return { regions: {}, stages: [], read: () => constant(feature, 0, new Uint8Array(4)) };
    const lanes = plan.lanes ?? defaultLanes(3 * count);
    const bounds = { steps: 3 * count, lanes, payloadBytes: payloadBound(count, plan.bits, lanes) };
    const words = Math.ceil(count / 32);
    const regions: Record<string, Region> = {
      state: { bytes: STATE_BYTES, zeroed: true },
      segments: { bytes: 4 * Math.ceil(count / SEGMENT), zeroed: true },
      elements: { bytes: 4 * 9 * words },
      header: { bytes: 4 * HEADER_WORDS, output: true },
      ...coderRegions(bounds),
    };
    const stages = [ownStage(feature, plan, words, tuning), coderStage(bounds, tuning)];
    return {
      regions,
      stages,
      read: (output) => read(feature, plan, output('header'), output('lanes'), output('payload')),
    };
  },
};

function ownStage(
  { count, dtype }: FeatureSpec,
  plan: RansPlan,
  words: number,
  { workgroup, workgroups, sharedBins }: Tuning,
): Stage {
  const many = Math.min(workgroups, Math.ceil(words / workgroup));
  const dispatch = (
    file: keyof typeof RANS_SHADERS,
    count: number,
    constants: Record<string, number> = {},
  ) => ({
    pass: {
      name: `rans ${file}`,
      code: RANS_SHADERS[file],
      constants: { WORKGROUP: workgroup, ...constants },
    },
    workgroups: count,
  });
  const ofFeature = { FEATURE_FLOAT16: dtype === 'float16' ? 1 : 0 };
  return {
    uniform: Uint32Array.of(
      count,
      0, // the encoder's
      plan.bits,
      plan.lanes ?? 0,
      words,
      Math.ceil(count / SEGMENT),
    ),
    storage: ['state', 'segments', 'elements', 'steps', 'lanes', 'header'],
    dispatches: [
      dispatch('stats', many, ofFeature),
      dispatch('quantise', many, { ...ofFeature, SHARED_BINS: sharedBins ? 256 : 1 }),
      dispatch('choose', 1),
      dispatch('exact', many, { SHARED_BINS: sharedBins ? 768 : 1 }),
      dispatch('table', 1),
      dispatch('scatter', many),
    ],
  };
}

function read(
  feature: FeatureSpec,
  plan: RansPlan,
  headerRead: Uint8Array<ArrayBuffer>,
  lanesRead: Uint8Array<ArrayBuffer>,
  payloadRead: Uint8Array<ArrayBuffer>,
): EncodedTensor {
  const header = new Uint32Array(headerRead.buffer, headerRead.byteOffset, HEADER_WORDS);
  const [flags, , exponent, below, above, columns, present] = header as unknown as number[];
  if (plan.strict && flags! & TENSOR_FLAGS.SANITISED) throw notFinite();
  if (flags! & TENSOR_FLAGS.CONST) return constant(feature, flags!, headerRead.slice(4, 8));
  const { lanes, stream } = readStream(lanesRead, payloadRead);
  const params = writeRansParams({
    quantiser: { bits: plan.bits, exponent: exponent!, below: below!, above: above! },
    csr: { columns: columns!, rows: feature.count / columns!, present: present! },
    lanes,
    table: Uint16Array.from(header.subarray(8, 8 + alphabetOf(plan.bits, columns!))),
  });
  return {
    family: 'rans',
    dtype: feature.dtype,
    shape: feature.shape,
    flags: flags!,
    params,
    payload: stream,
  };
}

function constant({ dtype, shape }: FeatureSpec, flags: number, params: Uint8Array): EncodedTensor {
  return {
    family: 'rans',
    dtype,
    shape,
    flags: flags | TENSOR_FLAGS.CONST,
    params,
    payload: new Uint8Array(0),
  };
}
