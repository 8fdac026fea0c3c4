// The fast encoder of family `isthmus`: for the browser's wasm path and for Node. Byte for byte what codec/reference makes:
// fixed point, transform, step, quantiser, coder. Whoever has the coefficients already starts at `encodeCoefficients`.
import { bad } from '../checks.ts';
import { type IsthmusPlan, LADDER } from '../isthmusPlan.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { misfit, viewOf } from '../profile.ts';
import { type Coefficients, deadZoneOf, firstOnLadder } from '../reference/encodeIsthmus.ts';
import { notFinite, sanitise, sharedExponent } from '../reference/float.ts';
import { absoluteStep, LARGEST } from '../reference/isthmusFixed.ts';
import { type IsthmusSetup, plainBlock, plainSetup, RHO, setupOf } from '../reference/isthmusSetup.ts';
import { transformBlocks } from './isthmusBlocks.ts';
import { analyse } from './isthmusChannels.ts';
import { type CodedSymbols, codeQuantised } from './isthmusCoder.ts';
import { distortion, finestStep, quantise } from './isthmusQuantise.ts';

const MAGNITUDE = 0x7fffffff;
const INFINITY = 0x7f800000;

/**
 * @param data float32 elements, row-major, at most 2^24; not modified
 * @throws IsthmusError FEATURE_NOT_FINITE under `plan.strict`, CODEC_INVALID when the profile does not fit the shape or there
 *   are more lanes than rows
 */
export function encodeIsthmus(
  data: Float32Array,
  shape: readonly number[],
  plan: IsthmusPlan,
): EncodedTensor {
  const tensor = { family: 'isthmus', dtype: 'float32', shape } as const;
  const fixed =
    plan.profile && data.length > 0 ? profiledFeature(data, shape, plan) : plainFeature(data, shape, plan);
  if ('constant' in fixed) {
    const params = new Uint8Array(4);
    new DataView(params.buffer).setUint32(0, fixed.constant, true);
    return { ...tensor, flags: TENSOR_FLAGS.CONST | fixed.flags, params, payload: new Uint8Array(0) };
  }
  const { x, setup, flags } = fixed;
  const extent = extentOf(x);
  const y = analyse(x, setup);
  transformBlocks(y, setup);
  return encodeCoefficients({ y, ...extent, setup, plan, shape, flags });
}

/**
 * The second half of the encoder: chooses the step, quantises and codes. A target is met by trial, without another transform.
 *
 * @throws IsthmusError CODEC_INVALID for more lanes than rows
 */
export function encodeCoefficients(coefficients: Coefficients): EncodedTensor {
  const { y, setup, plan, nonnegative, shape } = coefficients;
  const deadZone = deadZoneOf(plan);
  const trials = new Map<number, CodedSymbols>();
  const codeAt = (step: number): CodedSymbols => {
    const known = trials.get(step);
    if (known) return known;
    const coded = codeQuantised(quantise(y, step, deadZone, setup), step, setup, plan, nonnegative);
    trials.set(step, coded);
    return coded;
  };
  const { params, payload, signed } = codeAt(
    chooseStep(coefficients, (step) => codeAt(step).params.length + codeAt(step).payload.length),
  );
  const flags = coefficients.flags | (signed ? TENSOR_FLAGS.SIGNED : 0);
  return { family: 'isthmus', dtype: 'float32', shape, flags, params, payload };
}

/** @param bytesAt size of the tensor at a step */
function chooseStep({ y, largest, setup, plan }: Coefficients, bytesAt: (step: number) => number): number {
  const { step: rule } = plan;
  switch (rule.kind) {
    case 'fixed':
      return rule.step;
    case 'absolute':
      return absoluteStep(rule.bits, setup.exponent);
    case 'relative':
      return Math.max(1, Math.floor((largest * rule.budgetQ16 + 32768) / 65536));
    case 'bytes':
      return firstOnLadder(ladderFrom(y, setup), (step) => bytesAt(step) <= rule.target);
    case 'distortion': {
      const isTooFar = (step: number) => distortion(y, step, deadZoneOf(plan), setup) > rule.target;
      return firstOnLadder(ladderFrom(y, setup), isTooFar, -1);
    }
  }
}

function ladderFrom(y: Int32Array, setup: IsthmusSetup): number[] {
  const finest = finestStep(y, setup);
  return LADDER.filter((step) => step >= finest);
}

type Fixed = { x: Int32Array; setup: IsthmusSetup; flags: number } | { constant: number; flags: number };

function plainFeature(data: Float32Array, shape: readonly number[], plan: IsthmusPlan): Fixed {
  let bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let range = rangeOf(bits);
  let flags = 0;
  if (range.largest >= INFINITY) {
    if (plan.strict) throw notFinite();
    flags = TENSOR_FLAGS.SANITISED;
    bits = sanitise(data, false).bits as Uint32Array<ArrayBuffer>;
    range = rangeOf(bits);
  }
  if (range.isConstant) return { constant: range.first, flags };
  const exponent = sharedExponent(range.largest);
  const setup = plainSetup(shape, exponent, plainBlock(shape, plan), RHO[plan.transform]);
  return { x: toFixedPoint(bits, exponent), setup, flags };
}

function profiledFeature(data: Float32Array, shape: readonly number[], plan: IsthmusPlan): Fixed {
  const profile = plan.profile!;
  const reason = misfit(viewOf(shape), profile);
  if (reason)
    throw bad(`The codec profile ${profile.name} does not fit a feature of shape [${shape}]: ${reason}.`);
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const finite = rangeOf(bits).largest < INFINITY;
  if (!finite && plan.strict) throw notFinite();
  return {
    x: toFixedPoint(bits, profile.exponent),
    setup: setupOf(shape, profile),
    flags: finite ? 0 : TENSOR_FLAGS.SANITISED,
  };
}

/** Largest magnitude pattern, above the finite ones for Inf and NaN; whether all bits are equal once -0 is +0. */
function rangeOf(bits: Uint32Array): { largest: number; first: number; isConstant: boolean } {
  let largest = 0;
  let differing = 0;
  const first = bits.length && bits[0] !== 0x80000000 ? bits[0]! : 0;
  for (let i = 0; i < bits.length; i++) {
    const pattern = bits[i]! | 0;
    const magnitude = pattern & MAGNITUDE;
    if (magnitude > largest) largest = magnitude;
    differing |= magnitude === 0 ? first : pattern ^ first;
  }
  return { largest, first, isConstant: differing === 0 };
}

/** NaN is 0; infinity and what is too large saturate. Equals `toFixed` in codec/reference/isthmusFixed.ts. */
function toFixedPoint(bits: Uint32Array, exponent: number): Int32Array {
  const x = new Int32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const pattern = bits[i]! | 0;
    const a = pattern & MAGNITUDE;
    if (a === 0 || a > INFINITY) continue;
    const biased = a >>> 23;
    const mantissa = biased > 0 ? (a & 0x7fffff) | 0x800000 : a;
    const down = exponent - (biased > 0 ? biased : 1);
    let size: number;
    if (down > 24) continue;
    else if (down > 0) size = (((mantissa + (1 << (down - 1))) >>> down) + 1024) >>> 11;
    else if (down === 0) size = (mantissa + 1024) >>> 11;
    else if (down === -1 && a < INFINITY) size = (mantissa + 512) >>> 10;
    else size = LARGEST;
    if (size > LARGEST) size = LARGEST;
    x[i] = pattern < 0 ? -size : size;
  }
  return x;
}

/** What the step and the flags need to know of the feature before its transform. */
function extentOf(x: Int32Array): Pick<Coefficients, 'largest' | 'nonnegative'> {
  let high = 0;
  let low = 0;
  for (let i = 0; i < x.length; i++) {
    const value = x[i]!;
    if (value > high) high = value;
    else if (value < low) low = value;
  }
  return { largest: Math.max(high, -low), nonnegative: low === 0 };
}
