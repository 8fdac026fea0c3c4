// Which table codes each symbol of family `isthmus`, fast: from calibrated classes, or from the magnitudes of neighbours that
// are kept, capped, in one byte each. Encoder and decoder walk the rows with the same geometry. Equals `tableOf` in
// codec/reference/isthmusSymbols.ts.
import { TOKENS } from '../profile.ts';
import type { IsthmusSetup } from '../reference/isthmusSetup.ts';
import { MAGNITUDE_CAP, THRESHOLDS } from '../reference/isthmusSymbols.ts';

/** Table for an energy of neighbours: 40·(3+3+1+2+1+1) is the largest. */
export const TABLE_OF_ENERGY = Uint8Array.from(
  { length: 11 * MAGNITUDE_CAP + 1 },
  (_, energy) => THRESHOLDS.filter((threshold) => energy >= threshold).length,
);

/** Where a row and its neighbours lie among the magnitudes; 0, where a row of zeros is, for what does not count. */
export interface NeighbourRows {
  own: number;
  up: number;
  before1: number;
  before2: number;
  before3: number;
}

/** How rows of neighbours are found. */
export interface NeighbourGeometry {
  rows: number;
  columns: number;
  /** Rows after which nothing above counts, columns after which nothing to the left does. */
  edgeRows: number;
  edgeColumns: number;
  /** Planes before count too. */
  spectral: boolean;
  /** Rows of magnitudes that are kept, behind a row of zeros; a new one replaces the oldest. */
  window: number;
}

/** Keeps as many rows as neighbours reach back. */
export function geometryOf({
  view: { rows, columns },
  codedPlanes,
  block: [bh, bw],
}: IsthmusSetup): NeighbourGeometry {
  const spectral = bh * bw > 1;
  const window = Math.min(codedPlanes * rows, spectral ? 3 * rows + 1 : 2);
  return {
    rows,
    columns,
    spectral,
    window,
    edgeRows: spectral ? bh : rows,
    edgeColumns: spectral ? bw : columns,
  };
}

/** @param row number among all rows @param first first row of its lane @param out overwritten */
export function neighbourRows(g: NeighbourGeometry, row: number, first: number, out: NeighbourRows): void {
  const { rows, columns, spectral, window } = g;
  out.own = ((row % window) + 1) * columns;
  out.up = (row % rows) % g.edgeRows > 0 && row - 1 >= first ? (((row - 1) % window) + 1) * columns : 0;
  out.before1 = spectral && row - rows >= first ? (((row - rows) % window) + 1) * columns : 0;
  out.before2 = spectral && row - 2 * rows >= first ? (((row - 2 * rows) % window) + 1) * columns : 0;
  out.before3 = spectral && row - 3 * rows >= first ? (((row - 3 * rows) % window) + 1) * columns : 0;
}

export const newNeighbourRows = (): NeighbourRows => ({ own: 0, up: 0, before1: 0, before2: 0, before3: 0 });

/** For every class its table, once the frame's shift is added. */
export function tableOfClass(shift: number, { tables }: IsthmusSetup): Uint8Array {
  const last = tables.length / TOKENS - 1;
  return Uint8Array.from({ length: 256 }, (_, k) => Math.max(0, Math.min(last, k + shift)));
}

/** Where the classes of a row begin. */
export function classRow(row: number, { view, rank, map: [mh, mw] }: IsthmusSetup): number {
  return ((Math.floor(row / view.rows) % rank) * mh + ((row % view.rows) % mh)) * mw;
}

/** Numbers of the tables of all symbols, for encoders, which know everything beforehand. */
export function tableNumbers(
  q: Int32Array,
  lanesFirst: Uint32Array,
  shift: number,
  setup: IsthmusSetup,
): Uint8Array {
  return setup.classes
    ? byClasses(q.length, setup.classes, tableOfClass(shift, setup), setup)
    : byNeighbours(q, lanesFirst, geometryOf(setup));
}

function byClasses(count: number, classes: Uint8Array, tables: Uint8Array, setup: IsthmusSetup): Uint8Array {
  const numbers = new Uint8Array(count);
  const { columns } = setup.view;
  const mw = setup.map[1];
  for (let at = 0, row = 0; at < count; row++) {
    const first = classRow(row, setup);
    let place = 0;
    for (const end = at + columns; at < end; at++) {
      numbers[at] = tables[classes[first + place]!]!;
      place = place + 1 === mw ? 0 : place + 1;
    }
  }
  return numbers;
}

function byNeighbours(q: Int32Array, lanesFirst: Uint32Array, g: NeighbourGeometry): Uint8Array {
  const { columns, edgeColumns } = g;
  const sizes = new Uint8Array((g.window + 1) * columns);
  const numbers = new Uint8Array(q.length);
  const near = newNeighbourRows();
  for (let lane = 0, at = 0; lane + 1 < lanesFirst.length; lane++) {
    for (let row = lanesFirst[lane]!; row < lanesFirst[lane + 1]!; row++) {
      neighbourRows(g, row, lanesFirst[lane]!, near);
      const { own, up, before1, before2, before3 } = near;
      for (let block = 0; block < columns; block += edgeColumns) {
        let left = 0;
        let corner = 0;
        for (let i = block; i < block + edgeColumns; i++, at++) {
          const above = sizes[up + i]!;
          const energy =
            3 * (above + left) + corner + 2 * sizes[before1 + i]! + sizes[before2 + i]! + sizes[before3 + i]!;
          numbers[at] = TABLE_OF_ENERGY[energy]!;
          left = Math.min(Math.abs(q[at]!), MAGNITUDE_CAP);
          sizes[own + i] = left;
          corner = above;
        }
      }
    }
  }
  return numbers;
}
