// The symbol decoder of family `isthmus` (FORMAT.md, "Coded symbols" and "Table of a coefficient"): four lanes at a time where
// there are as many, row by row. It writes quantised coefficients; what becomes of them is not its business.
import { energiesOf } from './lib/isthmusEnergy';
import { decodeFourRows } from './lib/isthmusFourRows';
import { decodeRow } from './lib/isthmusRow';
import {
  CAP,
  CHUNK,
  COLUMNS,
  ENERGIES,
  firstRow,
  LANE,
  LANES,
  MAGNITUDES,
  QUANTISED,
  TOKEN_ROOM,
} from './lib/isthmusTask';

/** A lane: state, address of its next word, end of its words, magnitude to the left; 4 bytes each. */
const LANE_BYTES: u32 = 16;
/** Stands for every slot of a table that was not sent. */
const NO_TOKEN: u8 = 0x80;

/**
 * The decoder's tables: the token of each slot (u8, 4096 a table), and for each token (4096 - f) << 16 | c.
 *
 * @param freqs u16, 27 a table, summing to 4096, or to 0 for a table that was not sent
 * @param steps room for TOKEN_ROOM u32 a table and 1 KiB
 */
export function isthmusDecodeTables(freqs: usize, tables: u32, slots: usize, steps: usize): void {
  for (let k: u32 = 0; k < tables; k++, freqs += 54, slots += 4096, steps += 4 * TOKEN_ROOM) {
    let sum: u32 = 0;
    for (let token: u32 = 0; token < 27; token++) {
      const freq = <u32>load<u16>(freqs + 2 * token);
      if (freq === 0) continue;
      store<u32>(steps + 4 * token, ((4096 - freq) << 16) | sum);
      memory.fill(slots + sum, <u8>token, freq);
      sum += freq;
    }
    if (sum === 0) memory.fill(slots, NO_TOKEN, 4096);
  }
}

/** @returns 1 when every lane ends as it has to and no table is missing, else 0 */
export function isthmusDecode(task: usize): u32 {
  const lanes = load<u32>(task, LANES);
  let l: u32 = 0;
  let bad: u32 = 0;
  for (; l + 4 <= lanes; l += 4) {
    const rows = min(
      min(rowsOf(task, l), rowsOf(task, l + 1)),
      min(rowsOf(task, l + 2), rowsOf(task, l + 3)),
    );
    bad |= decodeFour(task, l, rows);
    if (bad & NO_TOKEN) return 0; // what later rows would look back at was never decoded
    for (let i: u32 = 0; i < 4; i++) bad |= decodeOne(task, l + i, rows);
    if (bad & NO_TOKEN) return 0;
  }
  for (; l < lanes; l++) bad |= decodeOne(task, l, 0);
  if (bad & NO_TOKEN) return 0;
  const records = <usize>load<u32>(task, LANE);
  for (l = 0; l < lanes; l++) {
    const lane = records + l * LANE_BYTES;
    if (load<u32>(lane) !== 0x10000 || load<u32>(lane, 4) !== load<u32>(lane, 8)) return 0;
  }
  return 1;
}

function rowsOf(task: usize, lane: u32): u32 {
  return firstRow(task, lane + 1) - firstRow(task, lane);
}

/** A lane from its row `done` on. @returns its tokens or-ed, and NO_TOKEN when it ran over */
function decodeOne(task: usize, lane: u32, done: u32): u32 {
  const columns = load<u32>(task, COLUMNS);
  const energies = <usize>load<u32>(task, ENERGIES);
  const first = firstRow(task, lane);
  const record = <usize>load<u32>(task, LANE) + lane * LANE_BYTES;
  let bad: u32 = 0;
  for (let row = first + done, end = firstRow(task, lane + 1); row < end; row++) {
    store<u32>(record, 0, 12);
    for (let from: u32 = 0; from < columns; from += CHUNK) {
      const count = min(CHUNK, columns - from);
      energiesOf(task, row, first, from, count, energies);
      bad |= decodeRow(task, record, energies, from, count);
      keep(task, energies, row * columns + from, count);
      if (load<u32>(record, 4) > load<u32>(record, 8)) return NO_TOKEN;
    }
  }
  return bad;
}

/** First rows of four lanes, u32 each: a division saved per row. */
const FIRST_ROWS: usize = memory.data(16, 16);

/** The first `rows` rows of four neighbouring lanes. */
function decodeFour(task: usize, lane: u32, rows: u32): u32 {
  const columns = load<u32>(task, COLUMNS);
  const energies = <usize>load<u32>(task, ENERGIES);
  const record = <usize>load<u32>(task, LANE) + lane * LANE_BYTES;
  for (let i: u32 = 0; i < 4; i++) store<u32>(FIRST_ROWS + (i << 2), firstRow(task, lane + i));
  let bad: u32 = 0;
  for (let done: u32 = 0; done < rows; done++) {
    for (let i: u32 = 0; i < 4; i++) store<u32>(record + i * LANE_BYTES, 0, 12);
    for (let from: u32 = 0; from < columns; from += CHUNK) {
      const count = min(CHUNK, columns - from);
      for (let i: u32 = 0; i < 4; i++) {
        const first = load<u32>(FIRST_ROWS + (i << 2));
        energiesOf(task, first + done, first, from, count, energies + i * 2 * CHUNK);
      }
      bad |= decodeFourRows(task, record, energies, from, count);
      for (let i: u32 = 0; i < 4; i++) {
        const at = (load<u32>(FIRST_ROWS + (i << 2)) + done) * columns + from;
        keep(task, energies + i * 2 * CHUNK, at, count);
      }
      for (let i: u32 = 0; i < 4; i++) {
        const at = record + i * LANE_BYTES;
        if (load<u32>(at, 4) > load<u32>(at, 8)) return NO_TOKEN;
      }
    }
  }
  return bad;
}

/**
 * Brings decoded coefficients from number `at` on to their places, with their capped magnitudes.
 */
function keep(task: usize, decoded: usize, at: u32, count: u32): void {
  const quantised = <usize>load<u32>(task, QUANTISED) + (at << 1);
  const magnitudes = <usize>load<u32>(task, MAGNITUDES) + at;
  const cap = i16x8.splat(<i16>CAP);
  let x: u32 = 0;
  for (; x + 8 <= count; x += 8) {
    const eight = v128.load(decoded + (x << 1));
    const capped = i16x8.min_s(i16x8.abs(eight), cap);
    v128.store(quantised + (x << 1), eight);
    v128.store64_lane(magnitudes + x, i8x16.narrow_i16x8_u(capped, capped), 0);
  }
  for (; x < count; x++) {
    const value = <i32>load<i16>(decoded + (x << 1));
    store<u16>(quantised + (x << 1), value);
    store<u8>(magnitudes + x, min(<u32>abs(value), CAP));
  }
}
