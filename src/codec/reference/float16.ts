// float16 as whole numbers: exact widening to float32 for encoders, rounding back for decoders (FORMAT.md, "float16").
// Bit patterns in and out, because Float16Array is not everywhere yet and a pattern is the same on every machine.

/** Pattern of ±65504, the largest finite float16, without its sign. */
const LARGEST = 0x7bff;

/** float32 pattern of a float16 pattern: the same number, infinity or kind of NaN. */
export function widen(half: number): number {
  const sign = (half & 0x8000) << 16;
  const e = (half >>> 10) & 31;
  const m = half & 0x3ff;
  if (e === 31) return (sign | 0x7f800000 | (m << 13)) >>> 0;
  if (e > 0) return (sign | ((e + 112) << 23) | (m << 13)) >>> 0;
  if (m === 0) return sign >>> 0;
  const shift = Math.clz32(m) - 21; // brings the highest one to bit 10
  return (sign | ((113 - shift) << 23) | (((m << shift) & 0x3ff) << 13)) >>> 0;
}

/**
 * float16 pattern of a float32 pattern: nearest, ties to the even one; what is beyond ±65504 becomes ±65504, never
 * infinity. NaN, which no decoder makes, stays NaN.
 */
export function narrow(float: number): number {
  const sign = (float >>> 16) & 0x8000;
  const a = float & 0x7fffffff;
  if (a > 0x7f800000) return sign | 0x7e00;
  if (a >= 0x477fe000) return sign | LARGEST; // 65504 and more
  if (a >= 0x38800000) {
    const rebased = a - 0x38000000; // exponent 127 becomes 15
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13); // a carry moves on to the exponent, as it should
  }
  if (a <= 0x33000000) return sign; // 2^-25 is a tie with zero, which is even
  const shift = 126 - (a >>> 23); // 14…24: from units of 2^(e-150) to units of 2^-24
  const m = (a & 0x7fffff) | 0x800000;
  const whole = m >>> shift;
  const rest = m & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (whole + (rest > half || (rest === half && whole & 1) ? 1 : 0));
}

/** float16 patterns as float32 numbers, exactly. */
export function toFloat32(halves: Uint16Array): Float32Array {
  const patterns = new Uint32Array(halves.length); // a loop: Uint32Array.from takes ten times as long
  for (let i = 0; i < halves.length; i++) patterns[i] = widen(halves[i]!);
  return new Float32Array(patterns.buffer);
}

/** float32 numbers as float16 patterns, rounded as {@link narrow} does. */
export function toFloat16(floats: Float32Array): Uint16Array {
  const patterns = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halves = new Uint16Array(floats.length);
  for (let i = 0; i < halves.length; i++) if (patterns[i] !== 0) halves[i] = narrow(patterns[i]!); // most are zero
  return halves;
}
