// From lanes to quantised coefficients: which table each one has, its token, its raw bits.
import type { Isthmus } from './isthmusParams.ts';
import type { Lane, Table } from './ransCoder.ts';

const THRESHOLDS = [1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 50, 70, 100];

/** Signed quantised coefficients, groups·R planes of H × W in row-major order. */
export function readCoefficients(lanes: readonly Lane[], isthmus: Isthmus): Int32Array {
  const { groups, R, H, W } = isthmus;
  const rows = groups * R * H;
  const q = new Int32Array(rows * W);
  lanes.forEach((lane, l) => {
    const first = Math.floor((l * rows) / lanes.length);
    const end = Math.floor(((l + 1) * rows) / lanes.length);
    for (let row = first; row < end; row++) {
      for (let x = 0; x < W; x++) {
        q[row * W + x] = readOne(lane, tableOf(q, row, x, first, isthmus), isthmus.signed);
      }
    }
    lane.end();
  });
  return q;
}

/** A token and its raw bits as a signed magnitude. */
function readOne(lane: Lane, table: Table, signed: boolean): number {
  const token = lane.symbol(table);
  if (token === 0) return 0;
  const extra = token < 15 ? 0 : token - 15;
  const signBits = signed ? 1 : 0;
  const raw = extra + signBits > 0 ? lane.rawBits(extra + signBits) : 0;
  const magnitude = token < 15 ? token : 14 + 2 ** extra + (raw >> signBits);
  return signed && raw % 2 === 1 ? -magnitude : magnitude;
}

/** `row` counts through all planes; rows before `firstRow` belong to another lane. */
function tableOf(q: Int32Array, row: number, x: number, firstRow: number, isthmus: Isthmus): Table {
  const { R, H, W, block, map, tables, profile, shift } = isthmus;
  const y = row % H;
  if (profile?.classes) {
    const plane = Math.floor(row / H);
    const at = ((plane % R) * map[0] + (y % map[0])) * map[1] + (x % map[1]);
    return tables[Math.max(0, Math.min(tables.length - 1, profile.classes[at]! + shift))]!;
  }
  const magnitude = (atRow: number, atX: number, exists: boolean): number =>
    exists && atRow >= firstRow ? Math.min(40, Math.abs(q[atRow * W + atX]!)) : 0;
  const hasBlocks = block[0] * block[1] > 1;
  const isUp = hasBlocks ? y % block[0] > 0 : y > 0;
  const isLeft = hasBlocks ? x % block[1] > 0 : x > 0;
  let e =
    3 * magnitude(row - 1, x, isUp) +
    3 * magnitude(row, x - 1, isLeft) +
    magnitude(row - 1, x - 1, isUp && isLeft);
  if (hasBlocks) {
    e += 2 * magnitude(row - H, x, true) + magnitude(row - 2 * H, x, true) + magnitude(row - 3 * H, x, true);
  }
  return tables[THRESHOLDS.filter((threshold) => e >= threshold).length]!;
}
