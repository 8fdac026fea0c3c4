// The rANS encoder (FORMAT.md, "Entropy coder: rANS") for streams with one table: up to four lanes at a time in
// registers, backwards, with a multiplication in place of the division. Writes the whole stream.

import { LANE_BYTES, startLane, writeStream } from './lib/stream';

/**
 * What the encoder looks symbols up in, 16 bytes each: m = ⌈2^44 / f⌉ (8 bytes), (4096 - f) << 16 | c (4 bytes),
 * f·2^20 - 1 (4 bytes), the largest state that needs no word.
 *
 * ⌊x / f⌋ = ⌊x·m / 2^44⌋ for every x < f·2^20, and x·m < 2^64. For m·f = 2^44 + e with e < f; so x·m / 2^44 exceeds x / f
 * by x·e / (f·2^44) < f·2^20 / 2^44 ≤ 1 / f, which is too little to reach the next whole number.
 */
export function ransEncodeTable(freqs: usize, alphabet: u32, table: usize): void {
  let sum: u32 = 0;
  for (let symbol: u32 = 0; symbol < alphabet; symbol++, table += 16) {
    const freq = <u32>load<u16>(freqs + symbol * 2);
    if (freq === 0) continue;
    store<u64>(table, (((<u64>1) << 44) + freq - 1) / freq);
    store<u32>(table, ((4096 - freq) << 16) | sum, 8);
    store<u32>(table, (freq << 20) - 1, 12); // f = 4096 never needs a word: 0xFFFFFFFF
    sum += freq;
  }
}

/**
 * @param lane room for the lanes, LANE_BYTES each
 * @param words room for 2·(⌈count / lanes⌉)·lanes bytes
 * @param out room for 8·lanes + 2·count bytes
 * @returns bytes of the stream
 */
export function ransEncode(
  table: usize,
  symbols: usize,
  count: u32,
  lanes: u32,
  lane: usize,
  words: usize,
  out: usize,
): u32 {
  const steps = count / lanes;
  const rest = count - steps * lanes;
  const room = 2 * (steps + (rest > 0 ? 1 : 0));
  for (let l: u32 = 0; l < lanes; l++) {
    startLane(lane + l * LANE_BYTES, words + room * (l + 1));
  }
  for (let l: u32 = 0; l < rest; l++)
    encode1(table, lane + l * LANE_BYTES, symbols + steps * lanes + l, 0, 1);
  if (steps > 0) {
    const last = symbols + (steps - 1) * lanes;
    if (lanes >= 4)
      for (let l: u32 = 0; l < lanes; l += 4) encode4(table, lane + l * LANE_BYTES, last + l, lanes, steps);
    else for (let l: u32 = 0; l < lanes; l++) encode1(table, lane + l * LANE_BYTES, last + l, lanes, steps);
  }
  return writeStream(lane, lanes, out);
}

function encode1(table: usize, lane: usize, at: usize, stride: usize, steps: u32): void {
  let x = load<u32>(lane);
  let p = <usize>load<u32>(lane, 4);
  for (; steps > 0; --steps, at -= stride) {
    const e = table + ((<usize>load<u8>(at)) << 4);
    const high = x > load<u32>(e, 12);
    store<u16>(p - 2, x);
    p -= (<usize>high) << 1;
    x = select<u32>(x >>> 16, x, high);
    const step = load<u32>(e, 8);
    x = x + <u32>((<u64>x * load<u64>(e)) >>> 44) * (step >>> 16) + (step & 0xffff);
  }
  store<u32>(lane, x);
  store<u32>(lane, <u32>p, 4);
}

function encode4(table: usize, lane: usize, at: usize, stride: usize, steps: u32): void {
  let x0 = load<u32>(lane);
  let x1 = load<u32>(lane, 16);
  let x2 = load<u32>(lane, 32);
  let x3 = load<u32>(lane, 48);
  let p0 = <usize>load<u32>(lane, 4);
  let p1 = <usize>load<u32>(lane, 20);
  let p2 = <usize>load<u32>(lane, 36);
  let p3 = <usize>load<u32>(lane, 52);
  for (; steps > 0; --steps, at -= stride) {
    const e0 = table + ((<usize>load<u8>(at)) << 4);
    const e1 = table + ((<usize>load<u8>(at, 1)) << 4);
    const e2 = table + ((<usize>load<u8>(at, 2)) << 4);
    const e3 = table + ((<usize>load<u8>(at, 3)) << 4);
    const high0 = x0 > load<u32>(e0, 12);
    const high1 = x1 > load<u32>(e1, 12);
    const high2 = x2 > load<u32>(e2, 12);
    const high3 = x3 > load<u32>(e3, 12);
    store<u16>(p0 - 2, x0);
    store<u16>(p1 - 2, x1);
    store<u16>(p2 - 2, x2);
    store<u16>(p3 - 2, x3);
    p0 -= (<usize>high0) << 1;
    p1 -= (<usize>high1) << 1;
    p2 -= (<usize>high2) << 1;
    p3 -= (<usize>high3) << 1;
    x0 = select<u32>(x0 >>> 16, x0, high0);
    x1 = select<u32>(x1 >>> 16, x1, high1);
    x2 = select<u32>(x2 >>> 16, x2, high2);
    x3 = select<u32>(x3 >>> 16, x3, high3);
    const step0 = load<u32>(e0, 8);
    const step1 = load<u32>(e1, 8);
    const step2 = load<u32>(e2, 8);
    const step3 = load<u32>(e3, 8);
    x0 = x0 + <u32>((<u64>x0 * load<u64>(e0)) >>> 44) * (step0 >>> 16) + (step0 & 0xffff);
    x1 = x1 + <u32>((<u64>x1 * load<u64>(e1)) >>> 44) * (step1 >>> 16) + (step1 & 0xffff);
    x2 = x2 + <u32>((<u64>x2 * load<u64>(e2)) >>> 44) * (step2 >>> 16) + (step2 & 0xffff);
    x3 = x3 + <u32>((<u64>x3 * load<u64>(e3)) >>> 44) * (step3 >>> 16) + (step3 & 0xffff);
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
