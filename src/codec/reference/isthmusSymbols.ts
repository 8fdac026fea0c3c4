// From coefficients to quantised ones and back, and from quantised ones to what the entropy coder sees: tokens, raw
// bits, and the table of each. FORMAT.md, "Coded symbols", "Table of a coefficient", "Dequantise".
import { stepAt } from './isthmusFixed.ts';
import type { IsthmusSetup } from './isthmusSetup.ts';
import { clamp } from './isthmusTransform.ts';

export const LARGEST_MAGNITUDE = 4109;
/** Energies of neighbours from which the next table is used. */
export const THRESHOLDS = [1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 50, 70, 100];
/** What a neighbour counts at most. */
export const MAGNITUDE_CAP = 40;

/** Where a coefficient lies. */
function placeOf(at: number, { view: { rows, columns } }: IsthmusSetup) {
  const plane = Math.floor(at / (rows * columns));
  return { plane, row: Math.floor(at / columns) % rows, column: at % columns };
}

/** Weight of the coefficient at `at`. */
export function weightOf(at: number, setup: IsthmusSetup): number {
  const { row, column } = placeOf(at, setup);
  const [mh, mw] = setup.map;
  return setup.weights[(row % mh) * mw + (column % mw)]!;
}

/** Step of the coefficient at `at` [d]. */
function stepOf(at: number, step: number, setup: IsthmusSetup): number {
  return stepAt(step, weightOf(at, setup));
}

export function quantise(y: Int32Array, step: number, deadZone: number, setup: IsthmusSetup): Int32Array {
  return y.map((value, at) => {
    const d = stepOf(at, step, setup);
    const q = Math.min(
      LARGEST_MAGNITUDE,
      Math.floor((Math.abs(value) + Math.floor((d * deadZone) / 256)) / d),
    );
    return value < 0 && q > 0 ? -q : q;
  });
}

export function dequantise(q: Int32Array, step: number, setup: IsthmusSetup): Int32Array {
  return q.map((value, at) => {
    if (value === 0) return 0;
    const d = stepOf(at, step, setup);
    const magnitude = Math.abs(value);
    const rho = setup.rho[magnitude === 1 ? 0 : 1]!;
    const y = clamp(Math.max(0, magnitude * d + Math.floor((rho * d + 128) / 256)), 2 ** 17);
    return value < 0 ? -y : y;
  });
}

/** A magnitude as its token and `bits` raw bits of value `extra`. */
export function tokenOf(magnitude: number): { token: number; bits: number; extra: number } {
  if (magnitude < 15) return { token: magnitude, bits: 0, extra: 0 };
  const v = magnitude - 14;
  const bits = 31 - Math.clz32(v);
  return { token: 15 + bits, bits, extra: v - 2 ** bits };
}

/** Rows of a lane, first and one past the last. */
export function laneRows(lane: number, lanes: number, { codedPlanes, view }: IsthmusSetup): [number, number] {
  const rows = codedPlanes * view.rows;
  return [Math.floor((lane * rows) / lanes), Math.floor(((lane + 1) * rows) / lanes)];
}

/**
 * Number of the table for the coefficient at `at`; everything before it in its lane is known.
 *
 * @param firstRow first row of its lane
 */
export function tableOf(
  q: Int32Array,
  at: number,
  firstRow: number,
  shift: number,
  setup: IsthmusSetup,
): number {
  const { plane, row, column } = placeOf(at, setup);
  const { columns, rows } = setup.view;
  if (setup.classes) {
    const [mh, mw] = setup.map;
    const index = ((plane % setup.rank) * mh + (row % mh)) * mw + (column % mw);
    return Math.max(0, Math.min(setup.tables.length / 27 - 1, setup.classes[index]! + shift));
  }
  const [bh, bw] = setup.block;
  const spectral = bh * bw > 1;
  const edge = spectral ? { row: row % bh, column: column % bw } : { row, column };
  const known = (exists: boolean, back: number, rowsBack: number) => {
    const inLane = plane * rows + row - rowsBack >= firstRow;
    return exists && inLane ? Math.min(MAGNITUDE_CAP, Math.abs(q[at - back]!)) : 0;
  };
  const up = known(edge.row > 0, columns, 1);
  const left = known(edge.column > 0, 1, 0);
  const corner = known(edge.row > 0 && edge.column > 0, columns + 1, 1);
  let energy = 3 * up + 3 * left + corner;
  if (spectral) {
    const before = (planes: number) => known(plane >= planes, planes * rows * columns, planes * rows);
    energy += 2 * before(1) + before(2) + before(3);
  }
  return THRESHOLDS.filter((threshold) => energy >= threshold).length;
}
