// Element types, their sizes, and how numbers of float32 become the bytes of a tensor. Families that quantise give
// float32; float16 is rounded from it here, in whole numbers.
import { demand } from './refuse.ts';

/** Names in the order of their codes. */
export const ELEMENT_TYPES = [
  'float32',
  'float16',
  'int32',
  'int64',
  'uint8',
  'int8',
  'bool',
  'float64',
] as const;

export type ElementType = (typeof ELEMENT_TYPES)[number];

export const ELEMENT_SIZE: Record<ElementType, number> = {
  float32: 4,
  float16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  int8: 1,
  bool: 1,
  float64: 8,
};

/** Whether a family that quantises takes the type. */
export function isQuantisable(type: ElementType): boolean {
  return type === 'float32' || type === 'float16';
}

/** float16 pattern nearest to a finite number, ties to even, never infinity. */
export function halfPattern(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  if (size >= 65504) return sign | 0x7bff;
  // Below 2^-14 the spacing stays 2^-24; above, ten binary digits follow the leading one.
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  const steps = size * 2 ** (10 - exponent);
  const below = Math.floor(steps);
  const rest = steps - below;
  const rounded = rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
  // 1024 steps make the next exponent, so the carry runs into the exponent field by itself.
  return sign | Math.min(0x7bff, (exponent + 14) * 1024 + rounded);
}

/** The bytes of a tensor of float32 or float16 whose elements have these float32 values. */
export function packFloats(values: Float32Array, type: ElementType): Uint8Array {
  demand(isQuantisable(type), 'this family takes float32 and float16 only');
  const bytes = new Uint8Array(values.length * ELEMENT_SIZE[type]);
  const view = new DataView(bytes.buffer);
  values.forEach((x, i) => {
    if (type === 'float32') view.setFloat32(4 * i, x, true);
    else view.setUint16(2 * i, halfPattern(x), true);
  });
  return bytes;
}
