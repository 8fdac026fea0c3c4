// Floats as whole numbers: sanitising, comparison keys and fixed point of FORMAT.md ("slicer"). Everything works on bit
// patterns, because a pattern is the same on every machine. No selection and no quantisation here.
import { IsthmusError } from '../../errors.ts';

const MAGNITUDE = 0x7fffffff;
const INFINITY = 0x7f800000;

export interface Sanitised {
  /** Bit patterns of the elements: all finite, zero only as +0. */
  bits: Uint32Array;
  /** NaN or an infinity was replaced. */
  replaced: boolean;
}

/**
 * NaN → +0, ±Inf → ± the largest finite magnitude of the tensor, -0 → +0.
 * @throws IsthmusError FEATURE_NOT_FINITE when `strict` and something would have to be replaced
 */
export function sanitise(data: Float32Array, strict: boolean): Sanitised {
  const source = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const finitePattern = (pattern: number) => (pattern & MAGNITUDE) < INFINITY;
  const largest = source.reduce((m, x) => (finitePattern(x) ? Math.max(m, x & MAGNITUDE) : m), 0);
  const bits = source.map((x) => {
    const magnitude = x & MAGNITUDE;
    const finite = magnitude > INFINITY ? 0 : magnitude === INFINITY ? largest : magnitude;
    return finite === 0 ? 0 : (x & 0x80000000) | finite;
  });
  const replaced = !source.every(finitePattern);
  if (replaced && strict) throw notFinite();
  return { bits, replaced };
}

/** The refusal of `strict`, the same words from every encoder. */
export function notFinite(): IsthmusError {
  return new IsthmusError(
    'FEATURE_NOT_FINITE',
    'The feature holds NaN or infinity. Repair the model, or encode without `strict` to have them replaced.',
  );
}

/** Exponent (at least 1) and 24-bit mantissa of a magnitude pattern: its value is m · 2^(e-150). */
function split(a: number): { e: number; m: number } {
  const e = a >>> 23;
  return e > 0 ? { e, m: (a & 0x7fffff) | 0x800000 } : { e: 1, m: a };
}

/**
 * Comparison key: the magnitude pattern, for negative values that of λ·|x| with λ = asymmetryQ8/256, truncated.
 * Larger key, larger claim to survive.
 */
export function survivalKey(bits: number, asymmetryQ8: number): number {
  const a = bits & MAGNITUDE;
  if (bits >>> 31 === 0 || asymmetryQ8 === 256) return a;
  const { e, m } = split(a);
  const product = m * asymmetryQ8; // below 2^32
  if (product === 0) return 0;
  const top = 31 - Math.clz32(product);
  const exponent = e + top - 31;
  const mantissa = top >= 23 ? product >>> (top - 23) : product << (23 - top);
  if (exponent >= 1) return (exponent << 23) | (mantissa & 0x7fffff);
  return 1 - exponent > 23 ? 0 : mantissa >>> (1 - exponent);
}

/** Shared exponent E of the survivors, from the largest magnitude pattern among them. */
export function sharedExponent(largest: number): number {
  return Math.max(1, largest >>> 23);
}

/** Magnitude as a 24-bit whole number of units 2^(E-150), rounded half up. */
export function fixedPoint(a: number, exponent: number): number {
  const { e, m } = split(a);
  const shift = exponent - e;
  if (shift === 0) return m;
  return shift > 24 ? 0 : (m + (1 << (shift - 1))) >>> shift;
}

/** The float32 that u units of 2^(E-150) are; exact for u < 2^24 and E in 1…254. */
export function fromFixedPoint(u: number, exponent: number): number {
  return u * 2 ** (exponent - 150);
}
