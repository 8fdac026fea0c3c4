// Several order statistics of magnitudes at once (FORMAT.md, "ATKF" and "MS"), by radix: a histogram of the 11 highest of 31
// bits, then only those values that share a digit with a wanted rank go down 10 + 10 bits more. What codec/cpu does in
// selectRanks.ts.

/** A wanted rank on its way: rank within its slot, digits so far, how many are larger, slot, how many are equal. */
const SEARCH_BYTES: u32 = 32;
const LEFT: usize = 0;
const PREFIX: usize = 4;
const LARGER: usize = 8;
const SLOT: usize = 12;
const EQUAL: usize = 16;

const MAGNITUDE: u32 = 0x7fffffff;
const NONE: u8 = 255;

/**
 * @param values patterns whose sign bit does not count; 12 more bytes are readable
 * @param searches SEARCH_BYTES each: in, a rank (from 1), rising; out, see above: PREFIX is the value of that rank
 * @param wanted number of searches, at most 32
 * @param scratch room for 164 KiB
 * @param candidates room for `count` + 1 u32
 */
export function slicerSelect(
  values: usize,
  count: u32,
  searches: usize,
  wanted: u32,
  scratch: usize,
  candidates: usize,
): void {
  const highSlots = scratch;
  const keeps = scratch + 2048;
  const middleSlots = scratch + 4096;
  const counts = scratch + 4096 + 32 * 1024;
  countHigh(values, count, counts);
  for (let s: u32 = 0; s < wanted; s++) {
    const search = searches + s * SEARCH_BYTES;
    store<u32>(search, 0, PREFIX);
    store<u32>(search, 0, LARGER);
    store<u32>(search, 0, SLOT);
  }
  let slots = descend(searches, wanted, counts, 11, 1, highSlots);
  for (let bin: u32 = 0; bin < 2048; bin++)
    store<u8>(keeps + bin, load<u8>(highSlots + bin) === NONE ? 0 : 4);

  let end = candidates;
  for (let at = values, last = values + (count << 2); at < last; at += 4) {
    const value = load<u32>(at) & MAGNITUDE;
    store<u32>(end, value);
    end += <usize>load<u8>(keeps + (value >>> 20));
  }

  memory.fill(counts, 0, slots << 12);
  for (let at = candidates; at < end; at += 4) increment(counts + (middleBin(load<u32>(at), highSlots) << 2));
  slots = descend(searches, wanted, counts, 10, slots, middleSlots);

  memory.fill(counts, 0, slots << 12);
  for (let at = candidates; at < end; at += 4) {
    const value = load<u32>(at);
    const slot = <u32>load<u8>(middleSlots + middleBin(value, highSlots));
    if (slot !== NONE) increment(counts + (((slot << 10) | (value & 1023)) << 2));
  }
  descend(searches, wanted, counts, 10, slots, middleSlots);
}

function middleBin(value: u32, highSlots: usize): u32 {
  return ((<u32>load<u8>(highSlots + (value >>> 20))) << 10) | ((value >>> 10) & 1023);
}

function increment(counter: usize): void {
  store<u32>(counter, load<u32>(counter) + 1);
}

/** Four histograms in turn, because a count that was just written cannot be read again at once. */
function countHigh(values: usize, count: u32, counts: usize): void {
  memory.fill(counts, 0, 4 * 8192);
  let at = values;
  for (const last = values + ((count & ~3) << 2); at < last; at += 16) {
    increment(counts + highBin(at));
    increment(counts + 8192 + highBin(at + 4));
    increment(counts + 16384 + highBin(at + 8));
    increment(counts + 24576 + highBin(at + 12));
  }
  for (const last = values + (count << 2); at < last; at += 4) increment(counts + highBin(at));
  for (let i: usize = 0; i < 8192; i += 16) {
    const ab = i32x4.add(v128.load(counts + i), v128.load(counts + i, 8192));
    const cd = i32x4.add(v128.load(counts + i, 16384), v128.load(counts + i, 24576));
    v128.store(counts + i, i32x4.add(ab, cd));
  }
}

/** Four times the 11 highest bits of a magnitude. */
function highBin(at: usize): usize {
  return ((load<u32>(at) << 1) >>> 21) << 2;
}

/**
 * Moves every search one digit down.
 *
 * @param next becomes the next slot for each (slot, digit); NONE where nobody went
 * @returns slots of the next level
 */
function descend(searches: usize, wanted: u32, counts: usize, bits: u32, slots: u32, next: usize): u32 {
  memory.fill(next, NONE, slots << bits);
  const highest = (1 << bits) - 1;
  let used: u32 = 0;
  let slot: u32 = 0;
  let digit: i32 = highest;
  let above: u32 = 0;
  for (let s: u32 = 0; s < wanted; s++) {
    const search = searches + s * SEARCH_BYTES;
    if (load<u32>(search, SLOT) !== slot) {
      slot = load<u32>(search, SLOT);
      digit = highest;
      above = 0;
    }
    const base = slot << bits;
    const left = load<u32>(search, LEFT);
    let here = load<u32>(counts + ((base + digit) << 2));
    while (digit > 0 && above + here < left) {
      above += here;
      here = load<u32>(counts + ((base + --digit) << 2));
    }
    if (load<u8>(next + base + digit) === NONE) store<u8>(next + base + digit, used++);
    store<u32>(search, left - above, LEFT);
    store<u32>(search, (load<u32>(search, PREFIX) << bits) | digit, PREFIX);
    store<u32>(search, load<u32>(search, LARGER) + above, LARGER);
    store<u32>(search, load<u8>(next + base + digit), SLOT);
    store<u32>(search, here, EQUAL);
  }
  return used;
}

/** @returns the index behind the `wanted`-th element whose magnitude is `value`; `count` when there are not as many */
export function slicerBehindTie(values: usize, count: u32, value: u32, wanted: u32): u32 {
  const pattern = i32x4.splat(value);
  const magnitude = i32x4.splat(MAGNITUDE);
  const whole = count & ~3;
  let at: u32 = 0;
  for (; at < whole; at += 4) {
    const equal = i32x4.eq(v128.and(v128.load(values + (at << 2)), magnitude), pattern);
    const here = <u32>popcnt(i32x4.bitmask(equal));
    if (here >= wanted) break;
    wanted -= here;
  }
  for (; at < count; at++) {
    if ((load<u32>(values + (at << 2)) & MAGNITUDE) === value && --wanted === 0) return at + 1;
  }
  return count;
}
