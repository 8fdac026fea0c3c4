// The slicer decoder (FORMAT.md, "Decode"): bits to bytes, codes of all blocks merged into survivors' values, values brought
// to their places. Every address stays inside what the caller laid out, whatever the payload says.
import { EXPAND4X32, EXPAND8 } from './lib/shuffles';

const BOTH: u64 = 0x100000001;

/**
 * One byte for each of `count` numbers of `width` bits, 1…8.
 *
 * @param bits 8 more bytes are readable
 * @param bytes room for `count` and 8 more
 */
export function slicerUnpackBits(bits: usize, count: u32, width: u32, bytes: usize): void {
  const used = <u64>-1 >>> (64 - 8 * width);
  const four = <u64>(4 * width);
  const low4 = ((<u64>1) << four) - 1;
  const low2 = (((<u64>1) << (2 * width)) - 1) * BOTH;
  const low1 = (((<u64>1) << width) - 1) * 0x00010001 * BOTH;
  const by2 = <u64>(16 - 2 * width);
  const by1 = <u64>(8 - width);
  for (const end = bytes + count; bytes < end; bytes += 8, bits += width) {
    let x = load<u64>(bits) & used;
    x = (x & low4) | ((x >>> four) << 32);
    x = (x & low2) | ((x & ~low2) << by2);
    store<u64>(bytes, (x & low1) | ((x & ~low1) << by1));
  }
}

/**
 * Values of survivors in their order.
 *
 * @param ids the block of each survivor; 16 more bytes are overwritten
 * @param blocks 1…16
 * @param codes 16 × u32: for each block where its codes, a byte each, begin; they advance. Behind the codes of the last block
 *   `count` + 8 bytes are readable, for payloads that give a block more than its share
 * @param signs a bit per survivor and 2 more bytes, or 0
 * @param table float patterns by sign (bit 12), block (8…11) and code
 * @param values room for `count` floats and 64 bytes
 */
export function slicerMerge(
  ids: usize,
  count: u32,
  blocks: u32,
  codes: usize,
  signs: usize,
  table: usize,
  values: usize,
): void {
  v128.store(ids + count, i8x16.splat(-1)); // in no block
  const eachBit = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  for (let k: u32 = 0; k < count; k += 16, values += 64) {
    const id = v128.load(ids + k);
    let low = i32x4.splat(0);
    let high = i32x4.splat(0);
    for (let b: u32 = 0; b < blocks; b++) {
      const members = i8x16.bitmask(i8x16.eq(id, i8x16.splat(<i8>b)));
      const at = <usize>load<u32>(codes + (b << 2));
      const shuffleLow = v128.load64_zero(EXPAND8 + ((members & 255) << 3));
      const shuffleHigh = v128.load64_zero(EXPAND8 + ((members >>> 8) << 3));
      const middle = at + popcnt(members & 255);
      low = v128.or(low, i8x16.swizzle(v128.load64_zero(at), shuffleLow));
      high = v128.or(high, i8x16.swizzle(v128.load64_zero(middle), shuffleHigh));
      store<u32>(codes + (b << 2), <u32>(middle + popcnt(members >>> 8)));
    }
    let above = v128.and(id, i8x16.splat(15));
    if (signs) {
      const pair = i16x8.splat(load<u16>(signs + (k >>> 3)));
      const spread = i8x16.shuffle(pair, pair, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
      const negative = i8x16.eq(v128.and(spread, eachBit), eachBit);
      above = v128.or(above, v128.and(negative, i8x16.splat(16)));
    }
    // Its place in the table for each, as 16 bits, for a moment where the values will be.
    v128.store(values, i8x16.shuffle(low, above, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    v128.store(
      values,
      i8x16.shuffle(high, above, 0, 24, 1, 25, 2, 26, 3, 27, 4, 28, 5, 29, 6, 30, 7, 31),
      16,
    );
    // From the last to the first: the place of i lies in bytes 2i and 2i + 1, its value goes to 4i.
    for (let i: i32 = 15; i >= 0; i--) {
      store<u32>(values + (i << 2), load<u32>(table + ((<u32>load<u16>(values + (i << 1))) << 2)));
    }
  }
}

/** Ones of a bitmap of `words` words. */
export function slicerOnes(bitmap: usize, words: u32): u32 {
  let ones: u32 = 0;
  for (const end = bitmap + (words << 2); bitmap < end; bitmap += 4) ones += popcnt(load<u32>(bitmap));
  return ones;
}

/**
 * Brings values to the ones of a bitmap; everything else is 0.
 *
 * @param bitmap as many ones as there are values
 * @param values 16 more bytes are readable
 * @param out room for the elements, rounded up to 32
 */
export function slicerPlaceBitmap(bitmap: usize, words: u32, values: usize, out: usize): void {
  for (const end = bitmap + (words << 2); bitmap < end; bitmap += 4, out += 128) {
    const word = load<u32>(bitmap);
    for (let at: u32 = 0; at < 32; at += 4) {
      const four = (word >>> at) & 15;
      v128.store(out + (at << 2), i8x16.swizzle(v128.load(values), v128.load(EXPAND4X32 + (four << 4))));
      values += popcnt(four) << 2;
    }
  }
}

/**
 * Brings values to listed places; everything else is 0.
 *
 * @param list places of `width` bits each, 1…24; 8 more bytes are readable
 * @returns 1, or 0 where places do not rise or reach `total`
 */
export function slicerPlaceList(
  list: usize,
  count: u32,
  width: u32,
  total: u32,
  values: usize,
  out: usize,
): u32 {
  memory.fill(out, 0, total << 2);
  const mask = (1 << width) - 1;
  let least: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    const bit = <u64>k * width;
    const place = <u32>(load<u64>(list + <usize>((bit >>> 5) << 2)) >>> (bit & 31)) & mask;
    if (place < least || place >= total) return 0;
    store<u32>(out + (place << 2), load<u32>(values + (k << 2)));
    least = place + 1;
  }
  return 1;
}
