// Frequency tables of the entropy coder (FORMAT.md, "Entropy coder: rANS"): from counts to frequencies, and the form in
// which a table travels. Whole numbers only, so that every encoder makes the same table. It codes no symbols.
import { damaged } from './slicerLayout.ts';

/** Frequencies of a table sum to this: 12 bits. */
export const RANS_TOTAL = 4096;

/**
 * Frequencies from counts, at least 1 for every symbol that occurs.
 *
 * @param counts one per symbol of the alphabet (at most 256), not all 0, below 2^31 each and together
 * @returns frequencies that sum to 4096
 */
export function normalise(counts: ArrayLike<number>): Uint16Array {
  const sum = Array.from(counts).reduce((a, b) => a + b, 0);
  const shift = Math.max(0, 32 - Math.clz32(sum) - 19);
  const scaled = Array.from(counts, (h) => (h > 0 ? (h + 2 ** shift - 1) >>> shift : 0));
  const total = scaled.reduce((a, b) => a + b, 0);
  const present = scaled.filter((h) => h > 0).length;
  const table = Uint16Array.from(scaled, (h) =>
    h > 0 ? 1 + Math.floor((h * (RANS_TOTAL - present)) / total) : 0,
  );
  const largest = scaled.indexOf(Math.max(...scaled));
  table[largest]! += RANS_TOTAL - table.reduce((a, b) => a + b, 0);
  return table;
}

/** c[s]: the sum of the frequencies before s. */
export function cumulative(table: ArrayLike<number>): Uint16Array {
  const sums = new Uint16Array(table.length);
  for (let s = 1; s < table.length; s++) sums[s] = sums[s - 1]! + table[s - 1]!;
  return sums;
}

/** Bytes of a sent table for `alphabet` symbols, `present` of which have a frequency. */
export function sentTableBytes(alphabet: number, present: number): number {
  return Math.ceil(alphabet / 8) + Math.ceil((12 * (present - 1)) / 8);
}

/** The table as it travels: a bitmap of its symbols, then f - 1 of all of them but the last. */
export function writeTable(table: ArrayLike<number>): Uint8Array {
  const symbols = [...Array(table.length).keys()].filter((s) => table[s]! > 0);
  const bytes = new Uint8Array(sentTableBytes(table.length, symbols.length));
  for (const s of symbols) bytes[s >> 3]! |= 1 << (s & 7);
  const start = 8 * Math.ceil(table.length / 8);
  symbols.slice(0, -1).forEach((s, i) => {
    for (let bit = 0; bit < 12; bit++) {
      const at = start + 12 * i + bit;
      bytes[at >> 3]! |= (((table[s]! - 1) >> bit) & 1) << (at & 7);
    }
  });
  return bytes;
}

/**
 * @param bytes exactly the table
 * @throws IsthmusError FRAME_INVALID for anything that `writeTable` does not make
 */
export function readTable(bytes: Uint8Array, alphabet: number): Uint16Array {
  const start = Math.ceil(alphabet / 8);
  if (bytes.length < start) throw damaged('its frequency table is cut short');
  const bit = (at: number) => (bytes[at >> 3]! >> (at & 7)) & 1;
  const symbols: number[] = [];
  for (let s = 0; s < 8 * start; s++) if (bit(s)) symbols.push(s);
  if (symbols.length === 0) throw damaged('its frequency table is empty');
  const last = symbols.at(-1)!;
  if (last >= alphabet) throw damaged('its frequency table names a symbol outside the alphabet');
  if (bytes.length !== sentTableBytes(alphabet, symbols.length))
    throw damaged('its frequency table has a wrong length');
  const table = new Uint16Array(alphabet);
  let at = 8 * start;
  let left = RANS_TOTAL;
  for (const s of symbols.slice(0, -1)) {
    let frequency = 1;
    for (let i = 0; i < 12; i++) frequency += bit(at++) << i;
    table[s] = frequency;
    left -= frequency;
  }
  if (left < 1) throw damaged('its frequencies sum to more than 4096');
  table[last] = left;
  while (at < 8 * bytes.length) if (bit(at++)) throw damaged('an unused bit of its frequency table is set');
  return table;
}
