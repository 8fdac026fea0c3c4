// The channel transform of family `isthmus` (FORMAT.md, "Channel transform" and "Encode"): a matrix at each position, forwards
// or back. Sums stay below 2^31.

const LIMIT: i32 = 1 << 16;
/** Positions that are worked on at a time. */
const TILE: u32 = 16;

/**
 * @param from i32: planes of `inputs` channels for each of `batches`; 60 more bytes are readable
 * @param means i16 per input, taken away before; 0 for none
 * @param matrix i16, outputs × inputs
 * @param tile room for 16 × inputs i32
 * @param to room for as many planes of `outputs` channels, and 60 bytes; limited when `limits`, else the input is
 */
export function isthmusChannels(
  from: usize,
  batches: u32,
  area: u32,
  inputs: u32,
  outputs: u32,
  means: usize,
  matrix: usize,
  shift: u32,
  limits: u32,
  tile: usize,
  to: usize,
): void {
  const plane = area << 2;
  const last = area < TILE ? 0 : area - TILE;
  for (let batch: u32 = 0; batch < batches; batch++, from += inputs * plane, to += outputs * plane) {
    // The last tile may overlap the one before it: the input is not touched.
    for (let at: u32 = 0; ; at = min(at + TILE, last)) {
      gather(from + (at << 2), plane, inputs, means, limits, tile);
      multiply(tile, inputs, outputs, matrix, shift, limits, to + (at << 2), plane);
      if (at === last) break;
    }
  }
}

function gather(from: usize, plane: u32, inputs: u32, means: usize, limits: u32, tile: usize): void {
  const low = i32x4.splat(limits ? i32.MIN_VALUE : -LIMIT);
  const high = i32x4.splat(limits ? i32.MAX_VALUE : LIMIT);
  for (let c: u32 = 0; c < inputs; c++, from += plane, tile += 64) {
    const mean = i32x4.splat(means ? <i32>load<i16>(means + (c << 1)) : 0);
    for (let i: usize = 0; i < 64; i += 16) {
      const value = i32x4.sub(v128.load(from + i), mean);
      v128.store(tile + i, i32x4.max_s(i32x4.min_s(value, high), low));
    }
  }
}

function multiply(
  tile: usize,
  inputs: u32,
  outputs: u32,
  matrix: usize,
  shift: u32,
  limits: u32,
  to: usize,
  plane: u32,
): void {
  const half = i32x4.splat(shift > 0 ? 1 << (shift - 1) : 0);
  const low = i32x4.splat(limits ? -LIMIT : i32.MIN_VALUE);
  const high = i32x4.splat(limits ? LIMIT : i32.MAX_VALUE);
  const end = tile + (inputs << 6);
  for (let r: u32 = 0; r < outputs; r++, to += plane) {
    let a = half;
    let b = half;
    let c = half;
    let d = half;
    for (let from = tile; from < end; from += 64, matrix += 2) {
      const factor = i32x4.splat(<i32>load<i16>(matrix));
      a = i32x4.add(a, i32x4.mul(v128.load(from), factor));
      b = i32x4.add(b, i32x4.mul(v128.load(from, 16), factor));
      c = i32x4.add(c, i32x4.mul(v128.load(from, 32), factor));
      d = i32x4.add(d, i32x4.mul(v128.load(from, 48), factor));
    }
    v128.store(to, i32x4.max_s(i32x4.min_s(i32x4.shr_s(a, shift), high), low));
    v128.store(to, i32x4.max_s(i32x4.min_s(i32x4.shr_s(b, shift), high), low), 16);
    v128.store(to, i32x4.max_s(i32x4.min_s(i32x4.shr_s(c, shift), high), low), 32);
    v128.store(to, i32x4.max_s(i32x4.min_s(i32x4.shr_s(d, shift), high), low), 48);
  }
}
