// What chooses the table of a coefficient (FORMAT.md, "Table of a coefficient"), as far as it is known before its row is
// decoded: the energy of neighbours but the left one, or the class.
import {
  BLOCK_ROWS,
  CLASSES,
  COLUMNS,
  HAS_LEFT,
  LAST_TABLE,
  MAGNITUDES,
  MAP_COLUMNS,
  MAP_ROWS,
  RANK,
  ROWS,
  SHIFT,
  SPECTRAL,
  ZEROS,
} from './isthmusTask';

/**
 * Energies of `count` columns from `from` on in a row.
 *
 * @param row counted through all planes
 * @param first first row of its lane
 * @param to room for `count` u16, rounded up to 16
 */
export function energiesOf(task: usize, row: u32, first: u32, from: u32, count: u32, to: usize): void {
  if (load<u32>(task, CLASSES)) {
    classesOf(task, row, from, count, to);
    return;
  }
  const columns = load<u32>(task, COLUMNS);
  const rows = load<u32>(task, ROWS);
  const zeros = load<u32>(task, ZEROS) + 16 + from;
  const here = load<u32>(task, MAGNITUDES) + row * columns + from;
  const hasUp = (row % rows) % load<u32>(task, BLOCK_ROWS) > 0 && row > first;
  const up = <usize>(hasUp ? here - columns : zeros);
  const hasLeft = <usize>load<u32>(task, HAS_LEFT) + from;
  const spectral = load<u32>(task, SPECTRAL);
  const known = spectral ? row - first : 0;
  const area = rows * columns;
  const one = <usize>(known >= rows ? here - area : zeros);
  const two = <usize>(known >= 2 * rows ? here - 2 * area : zeros);
  const three = <usize>(known >= 3 * rows ? here - 3 * area : zeros);
  const triple = i8x16.splat(3);
  for (let x: u32 = 0; x < count; x += 16, to += 32) {
    const above = v128.load(up + x);
    const corner = v128.and(v128.load(up + x - 1), v128.load(hasLeft + x));
    let low = i16x8.extmul_low_i8x16_u(above, triple);
    let high = i16x8.extmul_high_i8x16_u(above, triple);
    let rest = corner; // at most 40 + 80 + 40 + 40
    if (spectral) {
      const before = v128.load(one + x);
      rest = i8x16.add(
        i8x16.add(rest, i8x16.add(before, before)),
        i8x16.add(v128.load(two + x), v128.load(three + x)),
      );
    }
    low = i16x8.add(low, i16x8.extend_low_i8x16_u(rest));
    high = i16x8.add(high, i16x8.extend_high_i8x16_u(rest));
    v128.store(to, low);
    v128.store(to, high, 16);
  }
}

function classesOf(task: usize, row: u32, from: u32, count: u32, to: usize): void {
  const rows = load<u32>(task, ROWS);
  const rank = load<u32>(task, RANK);
  const mapRows = load<u32>(task, MAP_ROWS);
  const mapColumns = load<u32>(task, MAP_COLUMNS);
  const shift = <i32>load<u32>(task, SHIFT);
  const last = <i32>load<u32>(task, LAST_TABLE);
  const line = ((row / rows) % rank) * mapRows + ((row % rows) % mapRows);
  const classes = <usize>load<u32>(task, CLASSES) + line * mapColumns;
  let at = from % mapColumns;
  for (let x: u32 = 0; x < count; x++, to += 2) {
    store<u16>(to, <u16>max(0, min(last, <i32>load<u8>(classes + at) + shift)));
    if (++at === mapColumns) at = 0;
  }
}
