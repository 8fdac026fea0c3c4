// Bit packing of the slicer encoder (FORMAT.md, "Payload"): codes of one block, block ids, signs, position lists.

const BOTH: u64 = 0x100000001;
/** The even bytes of a word, and its even pairs of bytes. */
const BYTES: u64 = 0x00ff00ff * BOTH;
const PAIRS: u64 = 0x0000ffff * BOTH;

/**
 * Packs bytes at `width` bits each, 1…8; bits of a byte above those are left out.
 *
 * @param bytes 8 more are overwritten
 * @param out room for the words and 8 bytes
 */
export function slicerPackBits(bytes: usize, count: u32, width: u32, out: usize): void {
  store<u64>(bytes + count, 0);
  const mask = 0x01010101 * BOTH * ((1 << width) - 1);
  const by1 = <u64>(8 - width);
  const by2 = <u64>(16 - 2 * width);
  const four = <u64>(4 * width);
  for (const end = bytes + count; bytes < end; bytes += 8, out += width) {
    let x = load<u64>(bytes) & mask;
    x = (x & BYTES) | ((x & ~BYTES) >>> by1);
    x = (x & PAIRS) | ((x & ~PAIRS) >>> by2);
    store<u64>(out, <u64>(<u32>x) | ((x >>> 32) << four));
  }
  store<u64>(out, 0);
}

/**
 * The highest bit of every byte.
 *
 * @param bytes 16 more are overwritten
 * @param out room for the words and 8 bytes
 */
export function slicerPackSigns(bytes: usize, count: u32, out: usize): void {
  v128.store(bytes + count, i32x4.splat(0));
  for (const end = bytes + count; bytes < end; bytes += 16, out += 2)
    store<u16>(out, i8x16.bitmask(v128.load(bytes)));
  store<u32>(out, 0);
}

/**
 * The places of the ones of a bitmap, `width` bits each.
 *
 * @param words of the bitmap
 * @param out room for the words of the list and 8 bytes
 */
export function slicerPackPlaces(bitmap: usize, words: u32, width: u32, out: usize): void {
  let held: u64 = 0;
  let bits: u32 = 0;
  for (let word: u32 = 0; word < words; word++) {
    for (let rest = load<u32>(bitmap + (word << 2)); rest !== 0; rest &= rest - 1) {
      held |= (<u64>((word << 5) | ctz(rest))) << bits;
      bits += width;
      if (bits < 32) continue;
      store<u32>(out, <u32>held);
      out += 4;
      held >>>= 32;
      bits -= 32;
    }
  }
  store<u32>(out, <u32>held);
}

/**
 * Whether the highest bit of any byte is set.
 *
 * @param bytes 16 more are overwritten
 */
export function slicerAnySign(bytes: usize, count: u32): u32 {
  v128.store(bytes + count, i32x4.splat(0));
  let all = i32x4.splat(0);
  for (const end = bytes + count; bytes < end; bytes += 16) all = v128.or(all, v128.load(bytes));
  return i8x16.bitmask(all) ? 1 : 0;
}
