// What a codec family tells the GPU encoder about one feature: the arena ranges it needs, the dispatches that fill
// them, and how the bytes read back become an encoded tensor. Only types; a family touches no GPU object.
import type { DType } from '../../tensor.ts';
import type { CodecParams, EncodedTensor } from '../params.ts';
import type { CodecProfile } from '../profile.ts';
import type { Tuning } from './tuning.ts';

/** A feature as far as its shape tells. */
export interface FeatureSpec {
  dtype: DType;
  shape: readonly number[];
  /** Product of the shape. */
  count: number;
  byteLength: number;
}

/** A range of the arena that a family asks for. Its content is arbitrary at first, unless `zeroed`. */
export interface Region {
  bytes: number;
  /** All zero when the tensor's first dispatch runs. */
  zeroed?: boolean;
  /** Read back, and handed to `read`. */
  output?: boolean;
}

/** One compute pipeline, described. */
export interface PassSpec {
  /** Names the pipeline in labels; one name, one source. */
  name: string;
  /** WGSL with an entry point `main`. */
  code: string;
  /** Override constants. */
  constants?: Readonly<Record<string, number>>;
}

/** Words of a uniform at most. */
export const UNIFORM_WORDS = 64;

/**
 * Dispatches that share their bindings. What they see, all in `compute`:
 * group 0, binding 0: the uniform; bindings 1, 2, …: the regions named in `storage`, `read_write`;
 * group 1, binding 0: the feature, `read`, as an array of u32; bindings 1, 2, …: `tables`, `read`.
 */
export interface Stage {
  /** At most {@link UNIFORM_WORDS} words. Word 1 is the encoder's: element 0 of the feature, in words of its binding. */
  uniform: Uint32Array;
  storage: readonly string[];
  /** Constant data of a profile: uploaded once per array object, so keep the same object from frame to frame. */
  tables?: readonly Tables[];
  dispatches: readonly { pass: PassSpec; workgroups: number }[];
}

/** Never changed once an encoder has seen it. */
export type Tables = Uint32Array | Int32Array | Float32Array;

/** Ranges and dispatches for one tensor. */
export interface Work {
  regions: Readonly<Record<string, Region>>;
  /** Run in this order. */
  stages: readonly Stage[];
}

/** All the work for one feature. Made once per shape and parameters and kept while they repeat. */
export interface TensorPlan extends Work {
  /** The feature itself is read back, as output `feature`; needs COPY_SRC usage. */
  copiesFeature?: boolean;
  /**
   * From the bytes read back to the tensor. `output` gives a region's bytes, 4-byte aligned and gone after the return:
   * copy what is kept. May work on the CPU, such as entropy-code symbols; may refuse.
   */
  read(output: (region: string) => Uint8Array<ArrayBuffer>): EncodedTensor;
}

/** A codec family on the GPU. */
export interface GpuFamily<P extends CodecParams = CodecParams> {
  /** Element types it compresses; all others travel raw. */
  dtypes: readonly DType[];
  /**
   * @throws IsthmusError CODEC_INVALID (parameters), TOO_LARGE
   */
  plan(feature: FeatureSpec, params: P, tuning: Tuning): TensorPlan;
  /** What tells `params` apart from others; by default all of it, as JSON. For params that hold large arrays. */
  key?(params: P): string;
}

/** All the work for decoding one tensor. Made anew for every tensor, because it depends on the bytes. */
export interface DecodePlan extends Work {
  /** What the passes read, group 1 binding 0; or, when there are no stages, the feature's own bytes. */
  input: Uint8Array<ArrayBuffer>;
  /**
   * Refuses what only the passes could find out, from regions read back. With any `output` region decoding costs a map.
   * @throws IsthmusError FRAME_INVALID
   */
  check?(output: (region: string) => Uint8Array<ArrayBuffer>): void;
}

/**
 * The decoding half of a family. Checks all that can be checked before anything runs: no payload may lead a pass out of
 * its bounds or into a loop without end. In the stages' `storage` the name `feature` stands for the decoded feature, all
 * zero at first, float16 two per word; uniforms and bindings are as for encoding, `tables` included.
 *
 * @param count product of the shape, at most 2^24, checked against the limits
 * @param profiles finds a codec profile by the name in a frame
 * @throws IsthmusError FRAME_INVALID
 */
export type GpuDecode = (
  encoded: EncodedTensor,
  count: number,
  tuning: Tuning,
  profiles: (name: string) => CodecProfile | undefined,
) => DecodePlan;
