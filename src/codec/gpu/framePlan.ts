// FramePlan: where everything of one frame lies on the GPU, worked out from what the families ask for, so that it can be
// kept while shapes repeat. Pure arithmetic; it touches no GPU object.
import { IsthmusError } from '../../errors.ts';
import type { DType } from '../../tensor.ts';
import type { CodecParams, EncodedTensor } from '../params.ts';
import { planTensor } from './families.ts';
import type { FeatureSpec, Region, TensorPlan, Work } from './family.ts';
import type { Tuning } from './tuning.ts';

/** Offset alignment of bindings: the default limit, which every device meets. */
export const ALIGNMENT = 256;

/** A byte range. */
export interface Range {
  offset: number;
  size: number;
}

/** One tensor's work with its ranges put into the arena; outputs lie at the same place in the readback buffer. */
export interface Placed<P extends Work> {
  plan: P;
  ranges: ReadonlyMap<string, Range>;
}

export interface PlacedTensor extends Placed<TensorPlan> {
  feature: FeatureSpec;
  /** Where the feature itself is copied to in the readback buffer. */
  copy: Range | undefined;
}

/** Outputs fill the arena from byte 0 and are copied in one go; what must be zero follows in one piece, some of it outputs. */
export interface ArenaPlan<T extends Placed<Work> = Placed<Work>> {
  tensors: readonly T[];
  outputBytes: number;
  zeroed: Range;
  arenaBytes: number;
}

export interface FramePlan extends ArenaPlan<PlacedTensor> {
  readbackBytes: number;
}

/** What the device allows. */
interface DeviceLimits {
  maxBufferSize: number;
  maxStorageBufferBindingSize: number;
}

/** The order in the arena, so that outputs are one range and zeroed regions are another that may overlap it. */
const placeOf = ({ output, zeroed }: Region) => (output ? (zeroed ? 1 : 0) : zeroed ? 2 : 3);

/** Hands out aligned ranges one after the other. */
class Cursor {
  at: number;

  constructor(at: number) {
    this.at = at;
  }

  take(size: number): Range {
    const range = { offset: this.at, size };
    this.at = Math.ceil((range.offset + size) / ALIGNMENT) * ALIGNMENT;
    return range;
  }
}

/**
 * Lays out a frame.
 *
 * @param params one per feature
 * @throws IsthmusError TOO_LARGE when the device could not hold it, CODEC_INVALID, INPUT_INVALID
 */
export function planFrame(
  features: readonly { shape: readonly number[]; dtype: DType }[],
  params: readonly CodecParams[],
  limits: DeviceLimits,
  tuning: Tuning,
): FramePlan {
  const planned = features.map((feature, i) => planTensor(feature, params[i]!, tuning));
  const arena = placeWork(
    planned.map(({ plan }) => plan),
    limits,
  );
  const readback = new Cursor(arena.outputBytes);
  const tensors = arena.tensors.map((tensor, i) => {
    const { feature } = planned[i]!;
    checkBinding('A feature', feature.byteLength, limits);
    const copied = Math.ceil(feature.byteLength / 4) * 4;
    return { ...tensor, feature, copy: tensor.plan.copiesFeature ? readback.take(copied) : undefined };
  });
  checkSize(readback.at, limits);
  return { ...arena, tensors, readbackBytes: readback.at };
}

/**
 * Puts the ranges of all tensors into one arena.
 *
 * @throws IsthmusError TOO_LARGE when the device could not hold it
 */
export function placeWork<P extends Work>(works: readonly P[], limits: DeviceLimits): ArenaPlan<Placed<P>> {
  const tensors = works.map((plan) => ({ plan, ranges: new Map<string, Range>() }));
  const arena = new Cursor(0);
  const ends = [0, 1, 2, 3].map((place) => {
    for (const { plan, ranges } of tensors)
      for (const [name, region] of Object.entries(plan.regions)) {
        if (placeOf(region) !== place) continue;
        const size = Math.max(4, Math.ceil(region.bytes / 4) * 4);
        checkBinding('A part of a frame', size, limits);
        ranges.set(name, arena.take(size));
      }
    return arena.at;
  });
  checkSize(arena.at, limits);
  return {
    tensors,
    outputBytes: ends[1]!,
    zeroed: { offset: ends[0]!, size: ends[2]! - ends[0]! },
    arenaBytes: arena.at,
  };
}

/** Reads a frame from its mapped bytes. Nothing of them is kept. */
export function readFrame({ tensors }: FramePlan, mapped: ArrayBuffer): EncodedTensor[] {
  return tensors.map(({ plan, ranges, copy }) =>
    plan.read((name) => {
      const range = name === 'feature' && copy ? copy : ranges.get(name)!;
      return new Uint8Array(mapped, range.offset, range.size);
    }),
  );
}

/** @throws IsthmusError TOO_LARGE */
export function checkBinding(what: string, bytes: number, limits: DeviceLimits): void {
  if (bytes > limits.maxStorageBufferBindingSize)
    throw tooLarge(`${what} of ${bytes} bytes is more than this GPU can bind`);
}

function checkSize(bytes: number, limits: DeviceLimits): void {
  if (bytes > limits.maxBufferSize)
    throw tooLarge(`A frame that needs ${bytes} bytes is more than this GPU can hold`);
}

function tooLarge(what: string): IsthmusError {
  return new IsthmusError('TOO_LARGE', `${what}. Cut the model where the feature is smaller.`);
}
