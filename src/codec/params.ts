// CodecParams: what a codec is asked to do, presets by name, and their validation. Shared by both ends.
// Floats are turned into integers here, once, so that every encoder computes with the same whole numbers.
import { bytesPerElement, type DType } from '../tensor.ts';
import { bad, inRange } from './checks.ts';
import { type IsthmusParams, planIsthmus } from './isthmusPlan.ts';

/** How SLICER's adaptive bit quantisation (ABQ) chooses the bit width of a block. */
export type DistortionBudget =
  /** Largest error of a survivor, as a fraction of the feature's largest magnitude. */
  | { kind: 'max-error'; delta: number }
  /** Mean squared error of a block, as a fraction of the squared largest magnitude. */
  | { kind: 'mse'; distortion: number }
  /** SLICER's integer-only guard: mean error of 8-bit codes, in code steps (0…127). */
  | { kind: 'integer'; delta: number };

/**
 * SLICER (arXiv 2511.11608): top-K (ATKF), magnitude splitting (MS), adaptive bit quantisation (ABQ).
 * The paper's text leaves details open; FORMAT.md says what was chosen.
 */
export interface SlicerParams {
  family: 'slicer';
  /** Share of elements kept, 0…1. The paper's sparsity s is 1 - keep. */
  keep: number;
  /** λ: weight of negative values when elements compete for survival, 0…1. */
  asymmetry: number;
  /** M: blocks of equal cardinality, 1, 2, 4, 8 or 16. */
  blocks: 1 | 2 | 4 | 8 | 16;
  budget: DistortionBudget;
  /** Refuse NaN and infinity instead of replacing them (NaN → 0, ±Inf → the largest finite magnitude). */
  strict?: boolean;
}

/** The feature as it is: lossless, the yardstick. */
export interface RawParams {
  family: 'raw';
}

/**
 * rANS feature compression (arXiv 2511.11664): asymmetric integer quantisation (AIQ), an N × K matrix in modified CSR,
 * rANS. The paper's text leaves details open; FORMAT.md says what was chosen.
 */
export interface RansParams {
  family: 'rans';
  /** Q: bits of a quantised element, 2…8. */
  bits: number;
  /** Lanes of the entropy coder, a power of two up to 1024; by default chosen from the number of symbols. */
  lanes?: number;
  /** Refuse NaN and infinity instead of replacing them. */
  strict?: boolean;
}

export type CodecParams = RawParams | SlicerParams | RansParams | IsthmusParams;
type Family = CodecParams['family'];

/** SLICER with an error budget relative to the largest magnitude. */
const slicer = (keep: number, blocks: SlicerParams['blocks'], delta: number) =>
  ({ family: 'slicer', keep, asymmetry: 1, blocks, budget: { kind: 'max-error', delta } }) as const;

/**
 * Presets by name, chosen by measurement on the cuts of neck10, squeezenet1.1 and mobilenetv2: at a narrow neck nearly
 * every element matters, so dropping few and rounding coarsely loses less than dropping many. `slicer-sparse` keeps the
 * share that codec literature uses for wide features after a ReLU; at narrow necks it costs many points of accuracy.
 */
export const PRESETS = {
  raw: { family: 'raw' },
  slicer: slicer(0.8, 4, 0.04),
  'slicer-fine': slicer(1, 4, 0.015),
  // A little above 1/14, so that three bits span the whole range.
  'slicer-small': slicer(0.6, 2, 0.0715),
  'slicer-sparse': slicer(0.3, 4, 0.02),
  rans: { family: 'rans', bits: 4 },
  'rans-fine': { family: 'rans', bits: 6 },
  isthmus: { family: 'isthmus', quality: 50 },
  'isthmus-fine': { family: 'isthmus', quality: 62.5 },
  'isthmus-small': { family: 'isthmus', quality: 40 },
} as const satisfies Record<string, CodecParams>;
export type PresetName = keyof typeof PRESETS;

/** SLICER's parameters as the whole numbers that encoders use; see FORMAT.md, "slicer". */
export interface SlicerPlan {
  /** keep × 65536, rounded: K = ⌈T·keepQ16 / 65536⌉. */
  keepQ16: number;
  /** λ × 256, rounded; 256 means that signs compete alike. */
  asymmetryQ8: number;
  blocks: number;
  /** 'step': budgetQ16 = largest allowed quantisation step / largest magnitude × 65536. 'integer': mean code error × 256. */
  mode: 'step' | 'integer';
  budgetQ16: number;
  strict: boolean;
}

/** Validates SLICER parameters and turns them into whole numbers. */
export function planSlicer(p: SlicerParams): SlicerPlan {
  if (![1, 2, 4, 8, 16].includes(p.blocks)) throw bad(`blocks must be 1, 2, 4, 8 or 16, not ${p.blocks}.`);
  const q16 = (x: number) => Math.round(x * 65536);
  const common = {
    keepQ16: q16(inRange('keep', p.keep, 0, 1)),
    asymmetryQ8: Math.round(256 * inRange('asymmetry', p.asymmetry, 0, 1)),
    blocks: p.blocks,
    strict: p.strict ?? false,
  };
  switch (p.budget?.kind) {
    case 'max-error':
      return { ...common, mode: 'step', budgetQ16: q16(2 * inRange('delta', p.budget.delta, 0, 0.5)) };
    case 'mse': // a uniform quantiser of step Δ has mean squared error Δ²/12
      return {
        ...common,
        mode: 'step',
        budgetQ16: Math.min(65536, q16(Math.sqrt(12 * inRange('distortion', p.budget.distortion, 0, 1)))),
      };
    case 'integer':
      return {
        ...common,
        mode: 'integer',
        budgetQ16: Math.round(256 * inRange('delta', p.budget.delta, 0, 127)),
      };
    default:
      throw bad(
        `budget.kind must be 'max-error', 'mse' or 'integer', not '${(p.budget as { kind?: string } | undefined)?.kind}'.`,
      );
  }
}

/** The parameters of family `rans` as encoders use them. */
export interface RansPlan {
  /** Q */
  bits: number;
  /** L, or undefined: chosen from the number of symbols. */
  lanes: number | undefined;
  strict: boolean;
}

/** Validates the parameters of family `rans`. */
export function planRans({ bits, lanes, strict }: RansParams): RansPlan {
  if (!Number.isInteger(inRange('bits', bits, 2, 8))) throw bad(`bits must be a whole number, not ${bits}.`);
  if (lanes !== undefined && !Number.isInteger(Math.log2(inRange('lanes', lanes, 1, 1024))))
    throw bad(`lanes must be a power of two, not ${lanes}.`);
  return { bits, lanes, strict: strict ?? false };
}

/** K, the number of elements that may survive among `count`. Exact in float64 for every count below 2^31. */
export function survivorLimit(count: number, keepQ16: number): number {
  return Math.ceil((count * keepQ16) / 65536);
}

/** Turns a preset's name, or parameters, into validated parameters. */
export function resolveCodec(codec: PresetName | CodecParams): CodecParams {
  if (typeof codec === 'string') {
    if (!Object.hasOwn(PRESETS, codec))
      throw bad(`There is no preset '${codec}'; there are ${Object.keys(PRESETS).join(', ')}.`);
    return PRESETS[codec];
  }
  if (codec?.family === 'raw') return codec;
  if (codec?.family === 'slicer') {
    planSlicer(codec);
    return codec;
  }
  if (codec?.family === 'rans') {
    planRans(codec);
    return codec;
  }
  if (codec?.family === 'isthmus') {
    planIsthmus(codec);
    return codec;
  }
  throw bad(`There is no codec family '${(codec as { family?: string } | undefined)?.family}'.`);
}

/** Anything above these is refused before a byte is allocated (FORMAT.md, "Limits"). */
export const LIMITS = {
  outputBytes: 64 * 1024 * 1024,
  headerBytes: 64 * 1024,
  rank: 8,
  dimension: 0x7fffffff,
  tensors: 64,
} as const;

/**
 * Bytes an element of a tensor counts against `LIMITS.outputBytes`: its own, but 4 for float16 of a family that quantises,
 * which is float32 until it is rounded.
 */
export const countedBytes = (family: EncodedTensor['family'], dtype: DType): number =>
  dtype === 'float16' && family !== 'raw' && family !== 'image' ? 4 : bytesPerElement(dtype);

/** Flags of an encoded tensor (u8 on the wire). */
export const TENSOR_FLAGS = {
  /** Every element equals one value; the payload is empty. */
  CONST: 1,
  /** NaN or infinity was replaced. */
  SANITISED: 2,
  /** A sign bit is stored for every survivor. */
  SIGNED: 4,
} as const;

/** One tensor as it travels: decode it with nothing but this (and FORMAT.md). */
export interface EncodedTensor {
  /** 'image' is a JPEG, WebP or PNG file in the payload; only the tail decodes it. */
  family: Family | 'image';
  dtype: DType;
  shape: readonly number[];
  flags: number;
  /** Family-specific side information (FORMAT.md), at most a few hundred bytes. */
  params: Uint8Array;
  payload: Uint8Array;
}
