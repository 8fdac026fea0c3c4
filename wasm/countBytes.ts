// Histogram of bytes: codes of both families.

/**
 * Counts in four histograms in turn, because a count that was just written cannot be read again at once.
 *
 * @param counts room for 4 × 256 u32; the first 256 become the histogram
 */
export function countBytes(bytes: usize, count: u32, counts: usize): void {
  memory.fill(counts, 0, 4096);
  let at: u32 = 0;
  for (; at + 4 <= count; at += 4) {
    const four = load<u32>(bytes + at);
    increment(counts + ((four & 255) << 2));
    increment(counts + 1024 + (((four >>> 8) & 255) << 2));
    increment(counts + 2048 + (((four >>> 16) & 255) << 2));
    increment(counts + 3072 + ((four >>> 24) << 2));
  }
  for (; at < count; at++) increment(counts + ((<u32>load<u8>(bytes + at)) << 2));
  for (let i: usize = 0; i < 1024; i += 16) {
    const ab = i32x4.add(v128.load(counts + i), v128.load(counts + i, 1024));
    const cd = i32x4.add(v128.load(counts + i, 2048), v128.load(counts + i, 3072));
    v128.store(counts + i, i32x4.add(ab, cd));
  }
}

function increment(counter: usize): void {
  store<u32>(counter, load<u32>(counter) + 1);
}
