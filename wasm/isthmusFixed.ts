// Fixed point of family `isthmus` (FORMAT.md, "Encode" and "Channel transform"): float patterns to whole numbers and back.
import { unitScale, unitScaleRest } from './lib/fixedPoint';

/**
 * Infinities become the largest number, NaN becomes 0.
 *
 * @param data patterns, readable to a multiple of 4
 * @param out room for as many i32, rounded up to 4
 * @param range becomes the smallest and the largest of them and 0, i32 each
 */
export function isthmusToFixed(data: usize, count: u32, exponent: i32, out: usize, range: usize): void {
  const scale = f32x4.splat(unitScale(exponent));
  const rest = f32x4.splat(unitScaleRest(exponent));
  let least = i32x4.splat(0);
  let most = i32x4.splat(0);
  const last = count - 1;
  for (let i: u32 = 0; i < count; i += 4) {
    if (i + 3 > last) clearBehind(data, count, i);
    const x = v128.load(data + (i << 2));
    // Units of 2^(E-150) as FORMAT.md rounds them; beyond 2^25 all end at the limit.
    const exact = f32x4.min(f32x4.mul(f32x4.mul(f32x4.abs(x), scale), rest), f32x4.splat(67108864));
    const whole = f32x4.floor(exact);
    const up = f32x4.ge(f32x4.sub(exact, whole), f32x4.splat(0.5));
    const units = i32x4.sub(i32x4.trunc_sat_f32x4_s(whole), up);
    const fixed = i32x4.min_s(i32x4.shr_s(i32x4.add(units, i32x4.splat(1024)), 11), i32x4.splat(16383));
    const sign = i32x4.shr_s(x, 31);
    const value = i32x4.sub(v128.xor(fixed, sign), sign);
    v128.store(out + (i << 2), value);
    least = i32x4.min_s(least, value);
    most = i32x4.max_s(most, value);
  }
  least = i32x4.min_s(least, v128.shuffle<i32>(least, least, 2, 3, 0, 1));
  most = i32x4.max_s(most, v128.shuffle<i32>(most, most, 2, 3, 0, 1));
  store<i32>(range, min(i32x4.extract_lane(least, 0), i32x4.extract_lane(least, 1)));
  store<i32>(range, max(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1)), 4);
}

/** What lies behind the last element must not widen the range. */
function clearBehind(data: usize, count: u32, from: u32): void {
  for (let i = count; i < from + 4; i++) store<u32>(data + (i << 2), 0);
}

/**
 * Adds the means of `channels` planes and turns all of them into floats.
 *
 * @param values i32 of `planes` planes, 12 more bytes are readable
 * @param means i16 each; 0 for none
 * @param least what numbers are limited to: -most, or 0 where nothing is negative
 * @param out room for as many floats and 12 bytes
 */
export function isthmusToFloat(
  values: usize,
  planes: u32,
  area: u32,
  means: usize,
  channels: u32,
  least: i32,
  most: i32,
  exponent: i32,
  out: usize,
): void {
  const low = i32x4.splat(least);
  const high = i32x4.splat(most);
  // 2^(E-139), which may be below the normal floats, from two that are not.
  const scale = f32x4.splat(reinterpret<f32>(exponent << 23) * reinterpret<f32>((127 - 12) << 23));
  for (let plane: u32 = 0; plane < planes; plane++) {
    const mean = i32x4.splat(means ? <i32>load<i16>(means + ((plane % channels) << 1)) : 0);
    for (let i: u32 = 0; i < area; i += 4) {
      const value = i32x4.add(v128.load(values + (i << 2)), mean);
      const limited = i32x4.max_s(i32x4.min_s(value, high), low);
      v128.store(out + (i << 2), f32x4.mul(f32x4.convert_i32x4_s(limited), scale));
    }
    values += area << 2;
    out += area << 2;
  }
}

/** Takes the means of `channels` planes away, in place. */
export function isthmusCentre(values: usize, planes: u32, area: u32, means: usize, channels: u32): void {
  for (let plane: u32 = 0; plane < planes; plane++) {
    const mean = <i32>load<i16>(means + ((plane % channels) << 1));
    const end = values + (area << 2);
    for (const whole = values + ((area & ~3) << 2); values < whole; values += 16) {
      v128.store(values, i32x4.sub(v128.load(values), i32x4.splat(mean)));
    }
    for (; values < end; values += 4) store<i32>(values, load<i32>(values) - mean);
  }
}
