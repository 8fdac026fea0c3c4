// The entropy coder of families `rans` and `isthmus` as FORMAT.md tells it: rANS in 32 bits with 16-bit words, one lane
// at a time, and the stream that carries the lanes. It knows steps (frequency, sum), not what they stand for.
import { RANS_TOTAL } from './ransTable.ts';
import { damaged } from './slicerLayout.ts';

/** Where every lane's state starts and has to end. */
const LOWEST = 0x10000;

/** One lane as it travels. */
export interface Lane {
  /** What a decoder starts with. */
  state: number;
  /** 16-bit words in the order in which a decoder takes them. */
  words: number[];
}

/** Codes the steps of a lane, the last one first. */
export class LaneEncoder {
  #state = LOWEST;
  readonly #words: number[] = [];

  /** @param freq 1…4096 @param cum 0…4096 - freq */
  put(freq: number, cum: number): void {
    if (freq < RANS_TOTAL && this.#state >= freq * 2 ** 20) {
      this.#words.push(this.#state % 0x10000);
      this.#state = Math.floor(this.#state / 0x10000);
    }
    this.#state = Math.floor(this.#state / freq) * RANS_TOTAL + (this.#state % freq) + cum;
  }

  /** `count` raw bits, at most 12. */
  putBits(value: number, count: number): void {
    const freq = 2 ** (12 - count);
    this.put(freq, value * freq);
  }

  finish(): Lane {
    return { state: this.#state, words: [...this.#words].reverse() };
  }
}

/** Takes the steps of a lane, the first one first. */
export class LaneDecoder {
  #state: number;
  #next = 0;
  readonly #words: readonly number[];

  constructor({ state, words }: Lane) {
    this.#state = state;
    this.#words = words;
  }

  /** 0…4095: the next symbol is the one whose range holds it. */
  slot(): number {
    return this.#state % RANS_TOTAL;
  }

  /**
   * Takes the symbol with this frequency and sum; `cum` ≤ slot() < cum + freq.
   * @throws IsthmusError FRAME_INVALID when the lane has no word left
   */
  advance(freq: number, cum: number): void {
    this.#state = freq * Math.floor(this.#state / RANS_TOTAL) + this.slot() - cum;
    if (this.#state >= LOWEST) return;
    if (this.#next === this.#words.length) throw damaged('a lane has too few words');
    this.#state = this.#state * 0x10000 + this.#words[this.#next++]!;
  }

  /** `count` raw bits, at most 12. */
  bits(count: number): number {
    const freq = 2 ** (12 - count);
    const value = Math.floor(this.slot() / freq);
    this.advance(freq, value * freq);
    return value;
  }

  /** @throws IsthmusError FRAME_INVALID when the lane does not end as it has to */
  finish(): void {
    if (this.#next !== this.#words.length) throw damaged('a lane has words left over');
    if (this.#state !== LOWEST) throw damaged('a lane ends in a wrong state');
  }
}

/** States, word counts of all lanes but the last, words. */
export function writeStream(lanes: readonly Lane[]): Uint8Array {
  const bytes: number[] = [];
  for (const { state } of lanes) for (let i = 0; i < 32; i += 8) bytes.push((state >>> i) & 0xff);
  for (const { words } of lanes.slice(0, -1)) {
    let rest = words.length;
    for (; rest > 127; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
    bytes.push(rest);
  }
  for (const { words } of lanes) for (const word of words) bytes.push(word & 0xff, word >> 8);
  return Uint8Array.from(bytes);
}

/** Where the lanes of a stream lie in its payload. */
export interface StreamIndex {
  /** Start of each lane's state. */
  states: Uint32Array;
  /** Byte in the payload where the words of lane 0 begin. */
  firstByte: number;
  /** Words before each lane; the last entry is the number of all words. */
  starts: Uint32Array;
}

/**
 * Reads and checks everything before the words.
 * @throws IsthmusError FRAME_INVALID
 */
export function indexStream(payload: Uint8Array, lanes: number): StreamIndex {
  if (payload.length < 5 * lanes - 1) throw damaged('its stream is cut short');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const states = Uint32Array.from({ length: lanes }, (_, lane) => view.getUint32(4 * lane, true));
  if (states.some((state) => state < LOWEST)) throw damaged('a lane starts in a state that cannot be');
  const starts = new Uint32Array(lanes + 1);
  let at = 4 * lanes;
  for (let lane = 0; lane < lanes - 1; lane++) {
    let count = 0;
    for (let digit = 0; ; digit++) {
      const byte = payload[at++];
      if (byte === undefined || digit === 4) throw damaged('a word count does not end');
      if (byte === 0 && digit > 0) throw damaged('a word count has needless bytes');
      count += (byte & 0x7f) << (7 * digit);
      if (byte < 0x80) break;
    }
    starts[lane + 1] = starts[lane]! + count;
    // Checked here and not only below, so that the sum cannot run over.
    if (at + 2 * starts[lane + 1]! > payload.length) throw damaged('its word counts exceed its payload');
  }
  const left = payload.length - at;
  if (left % 2 !== 0) throw damaged('its stream ends within a word');
  starts[lanes] = left / 2;
  return { states, firstByte: at, starts };
}

/** @throws IsthmusError FRAME_INVALID */
export function readStream(payload: Uint8Array, lanes: number): Lane[] {
  const { states, firstByte, starts } = indexStream(payload, lanes);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return Array.from(states, (state, lane) => ({
    state,
    words: Array.from({ length: starts[lane + 1]! - starts[lane]! }, (_, i) =>
      view.getUint16(firstByte + 2 * (starts[lane]! + i), true),
    ),
  }));
}
