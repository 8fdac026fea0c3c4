// The entropy coder of rans and isthmus: tables sent in params, and lanes of range asymmetric numeral systems.
import { Bits, type Bytes } from './bytes.ts';
import { demand } from './refuse.ts';

/** For each of 4096 slots its symbol; frequencies and their running sums. */
export interface Table {
  readonly symbolOf: Uint8Array;
  readonly frequency: readonly number[];
  readonly below: readonly number[];
}

/** `frequency` sums to 4096, or is all zeros for a table that no symbol may use. */
export function makeTable(frequency: readonly number[]): Table {
  const symbolOf = new Uint8Array(4096);
  const below: number[] = [];
  let sum = 0;
  frequency.forEach((f, s) => {
    below.push(sum);
    symbolOf.fill(s, sum, sum + f);
    sum += f;
  });
  return { symbolOf, frequency, below };
}

/** A sent table over an alphabet of `A` symbols; with `mayBeEmpty` an empty bitmap gives a table of zeros. */
export function readSentTable(bytes: Bytes, A: number, mayBeEmpty = false): Table {
  const bitmapBytes = bytes.take(Math.ceil(A / 8), 'table');
  const bitmap = new Bits(bitmapBytes);
  const present: number[] = [];
  for (let s = 0; s < 8 * bitmapBytes.length; s++) if (bitmap.take(1)) present.push(s);
  demand(
    present.every((s) => s < A),
    'a symbol outside the alphabet',
  );
  const frequency = new Array<number>(A).fill(0);
  demand(mayBeEmpty || present.length > 0, 'a table without symbols');
  if (present.length === 0) return makeTable(frequency);
  const last = present.pop()!;
  const field = new Bits(bytes.take(Math.ceil((12 * present.length) / 8), 'table'));
  let rest = 4096;
  for (const s of present) {
    frequency[s] = field.take(12) + 1;
    rest -= frequency[s]!;
  }
  field.restIsZero('table');
  demand(rest >= 1, 'frequencies leave nothing for the last symbol');
  frequency[last] = rest;
  return makeTable(frequency);
}

/** One lane: a state, and words it has yet to take. */
export class Lane {
  private state: number;
  private readonly words: Bytes;

  constructor(state: number, words: Bytes) {
    demand(state >= 2 ** 16, 'a state below 2^16 at the start');
    this.state = state;
    this.words = words;
  }

  symbol(table: Table): number {
    const slot = this.state % 4096;
    const s = table.symbolOf[slot]!;
    demand(table.frequency[s]! > 0, 'a symbol of an empty table');
    this.advance(slot, table.frequency[s]!, table.below[s]!);
    return s;
  }

  rawBits(count: number): number {
    const slot = this.state % 4096;
    const f = 2 ** (12 - count);
    const value = Math.floor(slot / f);
    this.advance(slot, f, value * f);
    return value;
  }

  /** Each lane checks itself. */
  end(): void {
    demand(this.words.left === 0, 'a lane has words left over');
    demand(this.state === 2 ** 16, 'a lane ends in another state');
  }

  private advance(slot: number, f: number, below: number): void {
    this.state = f * Math.floor(this.state / 4096) + slot - below;
    if (this.state < 2 ** 16) this.state = this.state * 2 ** 16 + this.words.uint(2, 'lane');
  }
}
