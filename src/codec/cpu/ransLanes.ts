// The fast entropy coder: lanes of rANS steps into a stream, and interleaved lanes of one table back into symbols. The
// bytes are those of codec/reference/rans.ts. Families make the steps; nothing here knows what they stand for.
import { indexStream } from '../reference/rans.ts';
import { cumulative } from '../reference/ransTable.ts';
import { damaged } from '../reference/slicerLayout.ts';

const LOWEST = 0x10000;

/**
 * 1/f, a little too large: floor(x·INVERSE[f]) = floor(x/f) for x < 2^32, because x/f is either whole or at least 2^-12
 * below the next whole number, and the excess is far smaller.
 */
const INVERSE = Float64Array.from({ length: 4097 }, (_, f) => (1 + 2 ** -50) / Math.max(1, f));

/** A step in one word: frequency - 1 in bits 0…11, sum in bits 12…23. */
export function packStep(freq: number, cum: number): number {
  return (freq - 1) | (cum << 12);
}

/** A packed step per symbol of a table; only symbols that occur may be looked up. */
export function stepsOfTable(table: Uint16Array): Uint32Array {
  const sums = cumulative(table);
  return Uint32Array.from(table, (freq, symbol) => packStep(Math.max(1, freq), sums[symbol]!));
}

/** Which steps a lane codes: `first`, `first` + stride, … below `end`. */
export interface LaneRange {
  first: number;
  end: number;
  stride: number;
}

/** Lane `lane` of `lanes` interleaved ones over `count` steps. */
function interleaved(count: number, lanes: number, lane: number): LaneRange {
  return { first: lane, end: count, stride: lanes };
}

/** Codes packed steps in lanes: the stream of FORMAT.md. */
export function encodeStream(
  steps: Uint32Array,
  lanes: number,
  rangeOf: (lane: number) => LaneRange = (lane) => interleaved(steps.length, lanes, lane),
): Uint8Array {
  // Filled from its end, the last lane first, so that the words lie as they travel. One word per step at most.
  const words = new Uint16Array(steps.length);
  const states = new Uint32Array(lanes);
  const starts = new Uint32Array(lanes + 1);
  starts[lanes] = words.length;
  for (let lane = lanes - 1; lane >= 0; lane--) {
    starts[lane] = encodeLane(steps, rangeOf(lane), words, starts[lane + 1]!, states, lane);
  }
  const counts: number[] = [];
  for (let lane = 0; lane < lanes - 1; lane++) {
    let rest = starts[lane + 1]! - starts[lane]!;
    for (; rest > 127; rest >>= 7) counts.push((rest & 0x7f) | 0x80);
    counts.push(rest);
  }
  const used = words.subarray(starts[0]!);
  const payload = new Uint8Array(4 * lanes + counts.length + 2 * used.length);
  payload.set(new Uint8Array(states.buffer));
  payload.set(counts, 4 * lanes);
  payload.set(new Uint8Array(used.buffer, used.byteOffset, used.byteLength), 4 * lanes + counts.length);
  return payload;
}

/** @returns where the lane's words begin; they end at `at` */
function encodeLane(
  steps: Uint32Array,
  { first, end, stride }: LaneRange,
  words: Uint16Array,
  at: number,
  states: Uint32Array,
  lane: number,
): number {
  let x = LOWEST; // 32 bits, kept as a signed number
  const last = first < end ? first + stride * Math.floor((end - 1 - first) / stride) : -1;
  for (let i = last; i >= first; i -= stride) {
    const step = steps[i]!;
    const freq = (step & 4095) + 1;
    if (x >>> 20 >= freq) {
      words[--at] = x;
      x >>>= 16;
    }
    const quotient = ((x >>> 0) * INVERSE[freq]!) | 0;
    x = (x + Math.imul(quotient, 4096 - freq) + (step >>> 12)) | 0;
  }
  states[lane] = x;
  return at;
}

/**
 * What each of the 4096 slots stands for: symbol | (frequency - 1) << 8 | (slot - sum) << 20.
 * @param slots overwritten
 */
export function slotsOfTable(table: Uint16Array, slots: Uint32Array = new Uint32Array(4096)): Uint32Array {
  let slot = 0;
  table.forEach((freq, symbol) => {
    for (let i = 0; i < freq; i++) slots[slot++] = symbol | ((freq - 1) << 8) | (i << 20);
  });
  return slots;
}

/**
 * Decodes interleaved lanes of one table.
 *
 * @param symbols filled with as many symbols as it is long
 * @throws IsthmusError FRAME_INVALID for a stream that no encoder makes
 */
export function decodeStream(payload: Uint8Array, lanes: number, slots: Uint32Array, symbols: Uint8Array) {
  const { states, firstByte, starts } = indexStream(payload, lanes);
  const words = wordsFrom(payload, firstByte);
  let lane = 0;
  for (; lane + 4 <= lanes; lane += 4) decodeFour(words, states, starts, lane, lanes, slots, symbols);
  for (; lane < lanes; lane++) {
    const state = decodeTail(
      words,
      starts[lane]!,
      starts[lane + 1]!,
      states[lane]!,
      lane,
      lanes,
      slots,
      symbols,
    );
    if (state !== LOWEST) throw damaged('a lane ends in a wrong state');
  }
}

/** The words of a stream; a copy where they do not lie on an even address. */
export function wordsFrom(payload: Uint8Array, firstByte: number): Uint16Array {
  const bytes = payload.subarray(firstByte);
  const even = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(even.buffer, even.byteOffset, even.length / 2);
}

/** One lane from symbol `i` on, every `stride`-th; checks that its words are used up. @returns its last state */
function decodeTail(
  words: Uint16Array,
  at: number,
  end: number,
  state: number,
  first: number,
  stride: number,
  slots: Uint32Array,
  symbols: Uint8Array,
): number {
  let x = state | 0;
  for (let i = first; i < symbols.length; i += stride) {
    const slot = slots[x & 4095]!;
    symbols[i] = slot;
    x = (Math.imul(((slot >>> 8) & 4095) + 1, x >>> 12) + (slot >>> 20)) | 0;
    if (x >>> 16 === 0) {
      if (at === end) throw damaged('a lane has too few words');
      x = (x << 16) | words[at++]!;
    }
  }
  if (at !== end) throw damaged('a lane has words left over');
  return x >>> 0;
}

/** Four neighbouring lanes at a time: their chains of multiplications overlap. */
function decodeFour(
  words: Uint16Array,
  states: Uint32Array,
  starts: Uint32Array,
  lane: number,
  stride: number,
  slots: Uint32Array,
  symbols: Uint8Array,
): void {
  let a = states[lane]! | 0;
  let b = states[lane + 1]! | 0;
  let c = states[lane + 2]! | 0;
  let d = states[lane + 3]! | 0;
  let atA = starts[lane]!;
  let atB = starts[lane + 1]!;
  let atC = starts[lane + 2]!;
  let atD = starts[lane + 3]!;
  const [endA, endB, endC, endD] = [atB, atC, atD, starts[lane + 4]!];
  let i = lane;
  for (; i + 3 < symbols.length; i += stride) {
    const slotA = slots[a & 4095]!;
    const slotB = slots[b & 4095]!;
    const slotC = slots[c & 4095]!;
    const slotD = slots[d & 4095]!;
    symbols[i] = slotA;
    symbols[i + 1] = slotB;
    symbols[i + 2] = slotC;
    symbols[i + 3] = slotD;
    a = (Math.imul(((slotA >>> 8) & 4095) + 1, a >>> 12) + (slotA >>> 20)) | 0;
    b = (Math.imul(((slotB >>> 8) & 4095) + 1, b >>> 12) + (slotB >>> 20)) | 0;
    c = (Math.imul(((slotC >>> 8) & 4095) + 1, c >>> 12) + (slotC >>> 20)) | 0;
    d = (Math.imul(((slotD >>> 8) & 4095) + 1, d >>> 12) + (slotD >>> 20)) | 0;
    if (a >>> 16 === 0) {
      if (atA === endA) throw damaged('a lane has too few words');
      a = (a << 16) | words[atA++]!;
    }
    if (b >>> 16 === 0) {
      if (atB === endB) throw damaged('a lane has too few words');
      b = (b << 16) | words[atB++]!;
    }
    if (c >>> 16 === 0) {
      if (atC === endC) throw damaged('a lane has too few words');
      c = (c << 16) | words[atC++]!;
    }
    if (d >>> 16 === 0) {
      if (atD === endD) throw damaged('a lane has too few words');
      d = (d << 16) | words[atD++]!;
    }
  }
  // Where the lanes do not divide the symbols, the first of the four have one more.
  a = decodeTail(words, atA, endA, a, i, stride, slots, symbols);
  b = decodeTail(words, atB, endB, b, i + 1, stride, slots, symbols);
  c = decodeTail(words, atC, endC, c, i + 2, stride, slots, symbols);
  d = decodeTail(words, atD, endD, d, i + 3, stride, slots, symbols);
  if (a !== LOWEST || b !== LOWEST || c !== LOWEST || d !== LOWEST)
    throw damaged('a lane ends in a wrong state');
}
