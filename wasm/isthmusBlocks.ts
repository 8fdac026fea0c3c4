// The block transform of family `isthmus` (FORMAT.md, "Block transform"), one direction at a time, from one buffer to another:
// forwards or back, as the matrix says. Sums stay below 2^31.

const LIMIT: i32 = 1 << 17;

/**
 * Every column of every block.
 *
 * @param from i32 of `rows` rows, a multiple of `side`; 12 more bytes are readable
 * @param side rows of a block, 2…16
 * @param matrix side × side i32: row i gives output i
 * @param to room for as many i32 and 12 bytes
 */
export function isthmusBlockColumns(
  from: usize,
  rows: u32,
  columns: u32,
  side: u32,
  matrix: usize,
  to: usize,
): void {
  const line = columns << 2;
  const last = columns < 4 ? 0 : columns - 4;
  for (let row: u32 = 0; row < rows; row += side, from += side * line, to += side * line) {
    // The last vector may overlap the one before it: the input is not touched.
    for (let x: u32 = 0; ; x = min(x + 4, last)) {
      column4(from + (x << 2), to + (x << 2), line, side, matrix);
      if (x === last) break;
    }
  }
}

function column4(from: usize, to: usize, line: u32, side: u32, matrix: usize): void {
  // Frequencies that nothing has are left out; after quantisation these are most.
  let used: u32 = 0;
  for (let k: u32 = 0; k < side; k++) used |= (<u32>v128.any_true(v128.load(from + k * line))) << k;
  for (let i: u32 = 0; i < side; i++, matrix += side << 2) {
    let sum = i32x4.splat(1024);
    for (let rest = used; rest !== 0; rest &= rest - 1) {
      const k = ctz(rest);
      sum = i32x4.add(sum, i32x4.mul(v128.load(from + k * line), v128.load32_splat(matrix + (k << 2))));
    }
    v128.store(to + i * line, rounded(sum));
  }
}

function rounded(sum: v128): v128 {
  const value = i32x4.shr_s(sum, 11);
  return i32x4.max_s(i32x4.min_s(value, i32x4.splat(LIMIT)), i32x4.splat(-LIMIT));
}

/**
 * Every row of every block.
 *
 * @param from i32, `count` of them, a multiple of `side`
 * @param side columns of a block, 2…16
 * @param matrix side × 16 i32: row k gives what input k adds to each output
 * @param to room for as many i32 and 60 bytes
 */
export function isthmusBlockRows(from: usize, count: u32, side: u32, matrix: usize, to: usize): void {
  const half = i32x4.splat(1024);
  for (const end = from + (count << 2); from < end; from += side << 2, to += side << 2) {
    let a = half;
    let b = half;
    let c = half;
    let d = half;
    for (let k: u32 = 0; k < side; k++) {
      const input = load<i32>(from + (k << 2));
      if (input === 0) continue;
      const z = i32x4.splat(input);
      const row = matrix + (k << 6);
      a = i32x4.add(a, i32x4.mul(z, v128.load(row)));
      b = i32x4.add(b, i32x4.mul(z, v128.load(row, 16)));
      if (side > 8) {
        c = i32x4.add(c, i32x4.mul(z, v128.load(row, 32)));
        d = i32x4.add(d, i32x4.mul(z, v128.load(row, 48)));
      }
    }
    v128.store(to, rounded(a));
    v128.store(to, rounded(b), 16);
    if (side > 8) {
      v128.store(to, rounded(c), 32);
      v128.store(to, rounded(d), 48);
    }
  }
}
