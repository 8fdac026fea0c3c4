// The rANS decoder (FORMAT.md, "Entropy coder: rANS") for streams with one table: up to four lanes at a time in
// registers, one look-up per symbol, no branch on data. The caller lays out the lanes; see src/codec/wasm/ransStream.ts.

/** A lane: state, address of its next word, end of its words, unused; 4 bytes each. */
const LANE_BYTES: u32 = 16;
/**
 * After so many symbols lanes are checked for having run past their words. What lies within two bytes a symbol behind the
 * last word has to be readable, and is never believed.
 */
const CHUNK: u32 = 4096;

/**
 * The table that the decoder looks slots up in: (4096 - f) << 20 | c << 8 | symbol, so that the new state is
 * x - (4096 - f)·⌊x / 4096⌋ - c.
 *
 * @param freqs u16 per symbol, which sum to 4096
 * @param table 4096 u32, and 12 bytes behind it that may be overwritten
 */
export function ransDecodeTable(freqs: usize, alphabet: u32, table: usize): void {
  let sum: u32 = 0;
  for (let symbol: u32 = 0; symbol < alphabet; symbol++) {
    const freq = <u32>load<u16>(freqs + symbol * 2);
    if (freq === 0) continue;
    const entry = i32x4.splat(((4096 - freq) << 20) | (sum << 8) | symbol);
    const end = table + ((sum + freq) << 2);
    for (let at = table + (sum << 2); at < end; at += 16) v128.store(at, entry);
    sum += freq;
  }
}

/**
 * Decodes `count` symbols, of which lane l has l, l + lanes, …
 *
 * @param lane records of the lanes, LANE_BYTES each
 * @param lanes a power of two
 * @returns 1 when every lane ends as it has to, else 0
 */
export function ransDecode(table: usize, lane: usize, lanes: u32, symbols: usize, count: u32): u32 {
  const steps = count / lanes;
  const width = min<u32>(lanes, 4);
  for (let l: u32 = 0; l < lanes; l += width) {
    const at = lane + l * LANE_BYTES;
    for (let done: u32 = 0; done < steps; ) {
      const some = min(steps - done, CHUNK);
      const to = symbols + done * lanes + l;
      if (width === 4) decode4(table, at, to, lanes, some);
      else if (width === 2) decode2(table, at, to, some);
      else decode1(table, at, to, 1, some);
      for (let i: u32 = 0; i < width; i++) if (overrun(at + i * LANE_BYTES)) return 0;
      done += some;
    }
  }
  const rest = count - steps * lanes;
  for (let l: u32 = 0; l < rest; l++)
    decode1(table, lane + l * LANE_BYTES, symbols + steps * lanes + l, 1, 1);
  for (let l: u32 = 0; l < lanes; l++) {
    const at = lane + l * LANE_BYTES;
    if (load<u32>(at) !== 0x10000 || load<u32>(at, 4) !== load<u32>(at, 8)) return 0;
  }
  return 1;
}

function overrun(lane: usize): bool {
  return load<u32>(lane, 4) > load<u32>(lane, 8);
}

function decode1(table: usize, lane: usize, to: usize, stride: usize, steps: u32): void {
  let x = load<u32>(lane);
  let p = <usize>load<u32>(lane, 4);
  for (; steps > 0; --steps, to += stride) {
    const e = load<u32>(table + ((x & 4095) << 2));
    store<u8>(to, e);
    x = x - (e >>> 20) * (x >>> 12) - ((e >>> 8) & 4095);
    const low = x < 0x10000;
    x = select<u32>((x << 16) | <u32>load<u16>(p), x, low);
    p += (<usize>low) << 1;
  }
  store<u32>(lane, x);
  store<u32>(lane, <u32>p, 4);
}

function decode2(table: usize, lane: usize, to: usize, steps: u32): void {
  let x0 = load<u32>(lane);
  let x1 = load<u32>(lane, 16);
  let p0 = <usize>load<u32>(lane, 4);
  let p1 = <usize>load<u32>(lane, 20);
  for (; steps > 0; --steps, to += 2) {
    const e0 = load<u32>(table + ((x0 & 4095) << 2));
    const e1 = load<u32>(table + ((x1 & 4095) << 2));
    store<u8>(to, e0);
    store<u8>(to, e1, 1);
    x0 = x0 - (e0 >>> 20) * (x0 >>> 12) - ((e0 >>> 8) & 4095);
    x1 = x1 - (e1 >>> 20) * (x1 >>> 12) - ((e1 >>> 8) & 4095);
    const low0 = x0 < 0x10000;
    const low1 = x1 < 0x10000;
    x0 = select<u32>((x0 << 16) | <u32>load<u16>(p0), x0, low0);
    x1 = select<u32>((x1 << 16) | <u32>load<u16>(p1), x1, low1);
    p0 += (<usize>low0) << 1;
    p1 += (<usize>low1) << 1;
  }
  store<u32>(lane, x0);
  store<u32>(lane, x1, 16);
  store<u32>(lane, <u32>p0, 4);
  store<u32>(lane, <u32>p1, 20);
}

function decode4(table: usize, lane: usize, to: usize, stride: usize, steps: u32): void {
  let x0 = load<u32>(lane);
  let x1 = load<u32>(lane, 16);
  let x2 = load<u32>(lane, 32);
  let x3 = load<u32>(lane, 48);
  let p0 = <usize>load<u32>(lane, 4);
  let p1 = <usize>load<u32>(lane, 20);
  let p2 = <usize>load<u32>(lane, 36);
  let p3 = <usize>load<u32>(lane, 52);
  for (; steps > 0; --steps, to += stride) {
    const e0 = load<u32>(table + ((x0 & 4095) << 2));
    const e1 = load<u32>(table + ((x1 & 4095) << 2));
    const e2 = load<u32>(table + ((x2 & 4095) << 2));
    const e3 = load<u32>(table + ((x3 & 4095) << 2));
    store<u8>(to, e0);
    store<u8>(to, e1, 1);
    store<u8>(to, e2, 2);
    store<u8>(to, e3, 3);
    x0 = x0 - (e0 >>> 20) * (x0 >>> 12) - ((e0 >>> 8) & 4095);
    x1 = x1 - (e1 >>> 20) * (x1 >>> 12) - ((e1 >>> 8) & 4095);
    x2 = x2 - (e2 >>> 20) * (x2 >>> 12) - ((e2 >>> 8) & 4095);
    x3 = x3 - (e3 >>> 20) * (x3 >>> 12) - ((e3 >>> 8) & 4095);
    const low0 = x0 < 0x10000;
    const low1 = x1 < 0x10000;
    const low2 = x2 < 0x10000;
    const low3 = x3 < 0x10000;
    x0 = select<u32>((x0 << 16) | <u32>load<u16>(p0), x0, low0);
    x1 = select<u32>((x1 << 16) | <u32>load<u16>(p1), x1, low1);
    x2 = select<u32>((x2 << 16) | <u32>load<u16>(p2), x2, low2);
    x3 = select<u32>((x3 << 16) | <u32>load<u16>(p3), x3, low3);
    p0 += (<usize>low0) << 1;
    p1 += (<usize>low1) << 1;
    p2 += (<usize>low2) << 1;
    p3 += (<usize>low3) << 1;
  }
  store<u32>(lane, x0);
  store<u32>(lane, x1, 16);
  store<u32>(lane, x2, 32);
  store<u32>(lane, x3, 48);
  store<u32>(lane, <u32>p0, 4);
  store<u32>(lane, <u32>p1, 20);
  store<u32>(lane, <u32>p2, 36);
  store<u32>(lane, <u32>p3, 52);
}
