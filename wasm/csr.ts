// The modified CSR of family `rans` (FORMAT.md, "CSR"): its histogram for a width, its symbols, and back to elements.
import { COMPACT8 } from './lib/shuffles';

/**
 * @param codes a byte per element; 16 more are readable
 * @param columnCounts room for 272 u32: how often each column is present
 * @param rowCounts room for 256 u32: how many rows have each count
 * @param sums room for 272 bytes
 */
export function csrCount(
  codes: usize,
  total: u32,
  columns: u32,
  background: u32,
  columnCounts: usize,
  rowCounts: usize,
  sums: usize,
): void {
  memory.fill(columnCounts, 0, 272 * 4);
  memory.fill(rowCounts, 0, 256 * 4);
  memory.fill(sums, 0, 272);
  const zero = i8x16.splat(<i8>background);
  const wide = columns & ~15;
  const tail = tailMask(columns & 15);
  const end = codes + total;
  let full: u32 = 0;
  for (let row = codes; row < end; row += columns) {
    let count: u32 = 0;
    let at: u32 = 0;
    for (; at < wide; at += 16) {
      const present = i8x16.ne(v128.load(row + at), zero);
      v128.store(sums + at, i8x16.sub(v128.load(sums + at), present));
      count += popcnt(i8x16.bitmask(present));
    }
    if (at < columns) {
      const present = v128.and(i8x16.ne(v128.load(row + at), zero), tail);
      v128.store(sums + at, i8x16.sub(v128.load(sums + at), present));
      count += popcnt(i8x16.bitmask(present));
    }
    store<u32>(rowCounts + (count << 2), load<u32>(rowCounts + (count << 2)) + 1);
    if (++full === 255) {
      flush(sums, columns, columnCounts);
      full = 0;
    }
  }
  flush(sums, columns, columnCounts);
}

/** Adds byte sums to the counts, before a byte can run over. */
function flush(sums: usize, columns: u32, counts: usize): void {
  for (let c: u32 = 0; c < columns; c++) {
    store<u32>(counts + (c << 2), load<u32>(counts + (c << 2)) + load<u8>(sums + c));
    store<u8>(sums + c, 0);
  }
}

/** Ones in the first `bytes` bytes. */
function tailMask(bytes: u32): v128 {
  return i8x16.lt_u(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(<i8>bytes));
}

/**
 * Writes codes, columns and row counts; the caller knows how many of them there are.
 *
 * @param values room for the codes and 8 bytes
 * @param places room for as many columns and 8 bytes
 * @param counts room for a byte per row
 */
export function csrSymbols(
  codes: usize,
  total: u32,
  columns: u32,
  background: u32,
  values: usize,
  places: usize,
  counts: usize,
): void {
  const zero = i8x16.splat(<i8>background);
  const tail = (1 << (columns & 7)) - 1;
  const end = codes + total;
  for (let row = codes; row < end; row += columns) {
    const first = values;
    let place = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0);
    for (let at: u32 = 0; at < columns; at += 8) {
      const eight = v128.load64_zero(row + at);
      const inRow = at + 8 <= columns ? 255 : tail;
      const mask = i8x16.bitmask(i8x16.ne(eight, zero)) & inRow;
      const shuffle = v128.load64_zero(COMPACT8 + (mask << 3));
      v128.store64_lane(values, i8x16.swizzle(eight, shuffle), 0);
      v128.store64_lane(places, i8x16.swizzle(place, shuffle), 0);
      const ones = popcnt(mask);
      values += ones;
      places += ones;
      place = i8x16.add(place, i8x16.splat(8));
    }
    store<u8>(counts++, <u8>(values - first));
  }
}

/**
 * From symbols to elements. What a row has is spread out first, so that the loop over elements need not guess where rows end.
 *
 * @param symbols `present` codes, as many columns, `rows` counts; 16 more bytes are readable
 * @param values 256 floats, one per code
 * @param starts room for `present` u32 and 64 bytes
 * @param out room for the elements and 1 KiB
 * @returns 1 when every symbol is one that an encoder makes, else 0
 */
export function csrPlace(
  symbols: usize,
  present: u32,
  rows: u32,
  columns: u32,
  background: u32,
  top: u32,
  values: usize,
  starts: usize,
  out: usize,
): u32 {
  if (!codesFit(symbols, present, background, top)) return 0;
  if (!spreadRows(symbols + 2 * present, present, rows, columns, starts)) return 0;
  memory.fill(out, 0, rows * columns * 4);
  let least: u32 = 0; // an element lies behind the one before it
  let bad: u32 = 0;
  for (const end = symbols + present; symbols < end; symbols++, starts += 4) {
    const column = <u32>load<u8>(symbols + present);
    const place = load<u32>(starts) + column;
    bad |= <u32>(place < least) | <u32>(column >= columns);
    least = place + 1;
    store<u32>(out + (place << 2), load<u32>(values + ((<u32>load<u8>(symbols)) << 2)));
  }
  return bad ? 0 : 1;
}

/** For every element the first place of its row. @returns whether the rows have `present` elements, and none too many */
function spreadRows(counts: usize, present: u32, rows: u32, columns: u32, starts: usize): bool {
  const end = starts + (present << 2);
  let bad: u32 = 0;
  for (let row: u32 = 0, first: u32 = 0; row < rows; row++, first += columns) {
    const count = <u32>load<u8>(counts + row);
    const start = i32x4.splat(first);
    v128.store(starts, start);
    v128.store(starts, start, 16);
    const next = starts + (count << 2);
    bad |= <u32>(count > columns);
    if (next > end) return false;
    for (let at: usize = starts + 32; at < next; at += 16) v128.store(at, start);
    starts = next;
  }
  return bad === 0 && starts === end;
}

function codesFit(codes: usize, present: u32, background: u32, top: u32): bool {
  const zero = i8x16.splat(<i8>background);
  const most = i8x16.splat(<i8>top);
  let bad = i8x16.splat(0);
  const whole = codes + (present & ~15);
  for (let at = codes; at < whole; at += 16) {
    const sixteen = v128.load(at);
    bad = v128.or(bad, v128.or(i8x16.eq(sixteen, zero), i8x16.gt_u(sixteen, most)));
  }
  const rest = v128.load(whole);
  const last = v128.or(i8x16.eq(rest, zero), i8x16.gt_u(rest, most));
  return !v128.any_true(v128.or(bad, v128.and(last, tailMask(present & 15))));
}
