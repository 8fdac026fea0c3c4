// The symbol encoder of family `isthmus` (FORMAT.md, "Coded symbols" and "Table of a coefficient"): the table of every
// coefficient with what each table is to code, then the lanes.
import { energiesOf } from './lib/isthmusEnergy';
import { encodeFourSpans } from './lib/isthmusFourSpans';
import { encodeSpan } from './lib/isthmusSpan';
import {
  CHUNK,
  COLUMNS,
  ENERGIES,
  firstRow,
  HAS_LEFT,
  LANE,
  LANES,
  MAGNITUDES,
  NUMBERS,
  QUANTISED,
  SLOTS,
  TABLE_OF,
  TOKEN_ROOM,
} from './lib/isthmusTask';
import { LANE_BYTES, startLane, writeStream } from './lib/stream';

/** Fills NUMBERS, and SLOTS with the counts of tokens, TOKEN_ROOM u32 a table, which are 0 before. */
export function isthmusNumbers(task: usize): void {
  const columns = load<u32>(task, COLUMNS);
  const energies = <usize>load<u32>(task, ENERGIES);
  for (let lane: u32 = 0, lanes = load<u32>(task, LANES); lane < lanes; lane++) {
    const first = firstRow(task, lane);
    for (let row = first, end = firstRow(task, lane + 1); row < end; row++) {
      for (let from: u32 = 0; from < columns; from += CHUNK) {
        const count = min(CHUNK, columns - from);
        energiesOf(task, row, first, from, count, energies);
        number(task, energies, row * columns + from, from, count);
      }
    }
  }
}

function number(task: usize, energies: usize, at: u32, from: u32, count: u32): void {
  const tableOf = <usize>load<u32>(task, TABLE_OF);
  const hasLeft = <usize>load<u32>(task, HAS_LEFT) + from;
  const before = <usize>load<u32>(task, MAGNITUDES) + at - 1;
  const quantised = <usize>load<u32>(task, QUANTISED) + (at << 1);
  const numbers = <usize>load<u32>(task, NUMBERS) + at;
  const counts = <usize>load<u32>(task, SLOTS);
  for (let x: u32 = 0; x < count; x++) {
    const left = (3 * <u32>load<u8>(before + x)) & <u32>load<u8>(hasLeft + x);
    const k = <u32>load<u8>(tableOf + <u32>load<u16>(energies + (x << 1)) + left);
    store<u8>(numbers + x, k);
    const magnitude = <u32>abs(<i32>load<i16>(quantised + (x << 1)));
    const token = magnitude < 15 ? magnitude : 46 - clz(magnitude - 14);
    const counter = counts + ((k * TOKEN_ROOM + token) << 2);
    store<u32>(counter, load<u32>(counter) + 1);
  }
}

/**
 * @param words room for 4 bytes per coefficient
 * @param out room for 8 bytes per lane and 4 per coefficient
 * @returns bytes of the stream
 */
export function isthmusEncode(task: usize, words: usize, out: usize): u32 {
  const lanes = load<u32>(task, LANES);
  const columns = load<u32>(task, COLUMNS);
  const records = <usize>load<u32>(task, LANE);
  for (let l: u32 = 0; l < lanes; l++) {
    startLane(records + l * LANE_BYTES, words + ((firstRow(task, l + 1) * columns) << 2));
  }
  let l: u32 = 0;
  for (; l + 4 <= lanes; l += 4) {
    const a = firstRow(task, l) * columns;
    const b = firstRow(task, l + 1) * columns;
    const c = firstRow(task, l + 2) * columns;
    const d = firstRow(task, l + 3) * columns;
    const e = firstRow(task, l + 4) * columns;
    const count = min(min(b - a, c - b), min(d - c, e - d));
    encodeFourSpans(task, records + l * LANE_BYTES, b, c, d, e, count);
    for (let i: u32 = 0; i < 4; i++) encodeRest(task, records, l + i, count);
  }
  for (; l < lanes; l++) encodeRest(task, records, l, 0);
  return writeStream(records, lanes, out);
}

/** What is left of a lane when its last `done` coefficients are coded. */
function encodeRest(task: usize, records: usize, lane: u32, done: u32): void {
  const columns = load<u32>(task, COLUMNS);
  const end = firstRow(task, lane + 1) * columns - done;
  encodeSpan(task, records + lane * LANE_BYTES, end, end - firstRow(task, lane) * columns);
}
