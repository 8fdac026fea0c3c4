// Asymmetric integer quantisation (AIQ) of family `rans`: one step over the whole range of a feature, with a code that
// stands for zero. After arXiv 2511.11664; FORMAT.md, "AIQ". Whole numbers only, every product below 2^32.
import { fixedPoint, fromFixedPoint, sharedExponent } from './float.ts';

export interface Quantiser {
  /** Q */
  bits: number;
  /** E */
  exponent: number;
  /** -lo and hi in units of 2^(E-150), both below 2^24 and not both 0. */
  below: number;
  above: number;
}

/** The numbers that follow from a quantiser. */
export interface Steps {
  /** n: the largest code. */
  top: number;
  /** r */
  range: number;
  /** z: the code that stands for zero. */
  zero: number;
}

/** Fits a quantiser to the largest magnitude patterns of positive and of negative elements; not both may be 0. */
export function fitQuantiser(bits: number, positive: number, negative: number): Quantiser {
  const exponent = sharedExponent(Math.max(positive, negative));
  return {
    bits,
    exponent,
    below: fixedPoint(negative, exponent),
    above: fixedPoint(positive, exponent),
  };
}

export function stepsOf({ bits, below, above }: Quantiser): Steps {
  const top = 2 ** bits - 1;
  const range = below + above;
  const zero = Math.min(top, Math.floor((below * top + Math.floor(range / 2)) / range));
  return { top, range, zero };
}

/** Steps between zero and `units`, rounded half up. */
export function distanceOf(units: number, { top, range }: Steps): number {
  return Math.floor((units * top + Math.floor(range / 2)) / range);
}

/** The code of `units` on the given side of zero. */
export function codeOf(units: number, isNegative: boolean, steps: Steps): number {
  const distance = distanceOf(units, steps);
  return isNegative ? Math.max(0, steps.zero - distance) : Math.min(steps.top, steps.zero + distance);
}

/** The float32 that each code stands for. */
export function valuesOf(quantiser: Quantiser): Float32Array {
  const { top, range, zero } = stepsOf(quantiser);
  return Float32Array.from({ length: top + 1 }, (_, code) => {
    const distance = Math.abs(code - zero);
    const whole = distance * Math.floor(range / top);
    const rest = Math.floor((distance * (range % top) + Math.floor(top / 2)) / top);
    const value = fromFixedPoint(Math.min(0xffffff, whole + rest), quantiser.exponent);
    return code < zero ? -value : value;
  });
}
