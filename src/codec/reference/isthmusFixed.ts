// Fixed point of family `isthmus`: elements as whole numbers of 2^(E-139), and back. FORMAT.md, "Encode" and "Channel
// transform". No transform here.
import { fixedPoint } from './float.ts';

/** Largest fixed-point magnitude. */
export const LARGEST = 16383;

/** What decoded numbers are limited to: the float32 that they stand for has to be finite. */
export function largestDecoded(exponent: number): number {
  return exponent === 254 ? 8191 : LARGEST;
}

/** A finite pattern as a fixed-point number for exponent E; larger ones saturate. */
export function toFixed(bits: number, exponent: number): number {
  const a = bits & 0x7fffffff;
  const e = Math.max(1, a >>> 23);
  const m = a >>> 23 > 0 ? (a & 0x7fffff) | 0x800000 : a;
  const magnitude =
    e > exponent + 1
      ? LARGEST
      : e === exponent + 1
        ? (m + 512) >>> 10
        : (fixedPoint(a, exponent) + 1024) >>> 11;
  const limited = Math.min(LARGEST, magnitude);
  return bits >>> 31 === 1 && limited > 0 ? -limited : limited;
}

/** The float32 that x units are; exact. */
export function fromFixed(x: number, exponent: number): number {
  return x * 2 ** (exponent - 139);
}

/** A float32's bits as a step in units of 2^(E-139), 1…65536. */
export function absoluteStep(bits: number, exponent: number): number {
  const e = Math.max(1, bits >>> 23);
  const m = bits >>> 23 > 0 ? (bits & 0x7fffff) | 0x800000 : bits;
  const step = Math.floor(m * 2 ** (e - exponent - 11) + 0.5);
  return Math.min(65536, Math.max(1, step));
}

/** Quantiser step at a weight [d]. */
export function stepAt(step: number, weight: number): number {
  return Math.max(1, (step * weight + 128) >>> 8);
}

/** What a step adds to every class: -3·log2(step), by whole numbers. */
export function classShift(step: number): number {
  const t = 31 - Math.clz32(step);
  const n = Math.floor((step * 2 ** 15) / 2 ** t);
  const third = 3 * t + (n >= 41286 ? 1 : 0) + (n >= 52016 ? 1 : 0);
  return third === 0 ? 0 : -third;
}
