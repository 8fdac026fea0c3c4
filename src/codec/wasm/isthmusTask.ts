// What the WebAssembly kernels of family `isthmus` need to know of a tensor, laid out in their memory: the fields of
// wasm/lib/isthmusTask.ts and the small tables that they point to. Encoder and decoder share it.
import { TOKENS } from '../profile.ts';
import { stepAt } from '../reference/isthmusFixed.ts';
import type { IsthmusSetup } from '../reference/isthmusSetup.ts';
import { MAGNITUDE_CAP, THRESHOLDS } from '../reference/isthmusSymbols.ts';
import { dctMatrix } from '../reference/isthmusTransform.ts';
import type { Arena } from './arena.ts';

/** The encoder leaves larger tensors to TypeScript: they need up to 24 bytes an element in the memory of the kernels. */
export const MAX_ISTHMUS_ELEMENTS = 2 ** 22;
/** Bytes that kernels may touch behind a piece. */
export const SLACK = 64;
/** Columns that the kernels work on at a time, and u32 fields of a task. */
const CHUNK = 1024;
const FIELDS = 23;

/** Table of each energy of neighbours; 40·(3+3+1+2+1+1) is the largest. */
const TABLE_OF_ENERGY = Uint8Array.from(
  { length: 11 * MAGNITUDE_CAP + 1 },
  (_, energy) => THRESHOLDS.filter((threshold) => energy >= threshold).length,
);
const IDENTITY = Uint8Array.from({ length: 64 }, (_, table) => table);

/** Addresses in the arena. */
export interface IsthmusTask {
  /** The task itself. */
  at: number;
  /** Coefficients P'·H·W. */
  count: number;
  /** i16 each. */
  quantised: number;
  /** A byte each: magnitudes up to 40. */
  magnitudes: number;
  /** Records of the lanes, 16 bytes each. */
  lane: number;
  /** Decoder: 4096 bytes a table. Encoder: 32 u32 a table. */
  slots: number;
  /** Decoder: 32 u32 a table. Encoder: 32 · 16 bytes a table. */
  steps: number;
}

export interface TaskOptions {
  lanes: number;
  signed: boolean;
  shift: number;
  tables: Uint16Array;
  /** Bytes a table at `slots` and at `steps`. */
  slotBytes: number;
  stepBytes: number;
  /** Encoder: a byte per coefficient. */
  numbers?: number;
  /** Where coefficients and magnitudes are already. */
  quantised?: number;
  magnitudes?: number;
}

/** Grows the arena. */
export function layOutTask(arena: Arena, setup: IsthmusSetup, options: TaskOptions): IsthmusTask {
  const { view, codedPlanes, block, map, rank, classes } = setup;
  const { rows, columns } = view;
  const count = codedPlanes * rows * columns;
  const tables = options.tables.length / TOKENS;
  const at = arena.take(4 * FIELDS);
  const quantised = options.quantised ?? arena.take(2 * count + SLACK);
  const magnitudes = options.magnitudes ?? takeMagnitudes(arena, count);
  const zeros = arena.take(columns + SLACK);
  const hasLeft = arena.take(columns + SLACK);
  const tableOf = arena.take(512);
  const energies = arena.take(4 * 2 * CHUNK + SLACK);
  const lane = arena.take(16 * options.lanes);
  const slots = arena.take(options.slotBytes * tables);
  const steps = arena.take(options.stepBytes * tables + 1024);
  const classMap = classes ? arena.take(classes.length) : 0;
  arena.grow();
  const spectral = !classes && block[0] * block[1] > 1;
  arena.bytes(zeros, columns + SLACK).fill(0);
  const edge = spectral ? block[1] : columns;
  const left = arena.bytes(hasLeft, columns + SLACK).fill(0);
  if (!classes) for (let x = 0; x < columns; x++) left[x] = x % edge === 0 ? 0 : 0xff;
  arena.bytes(tableOf, 512).set(classes ? IDENTITY : TABLE_OF_ENERGY);
  if (classes) arena.bytes(classMap, classes.length).set(classes);
  arena
    .words(at, FIELDS)
    .set([
      ...[rows, columns, codedPlanes, options.lanes],
      ...[spectral ? block[0] : rows, spectral ? 1 : 0, options.signed ? 1 : 0],
      ...[classMap, rank, ...map, options.shift, tables - 1],
      ...[quantised, magnitudes, zeros, hasLeft, tableOf, energies, lane, slots, steps, options.numbers ?? 0],
    ]);
  return { at, count, quantised, magnitudes, lane, slots, steps };
}

/** Room for magnitudes, with what kernels may read before and behind them. */
export function takeMagnitudes(arena: Arena, count: number): number {
  return arena.take(count + 2 * SLACK) + SLACK;
}

/** Steps of the quantiser, a row of columns and 4 more for each row of the map that a plane needs. */
export interface StepRows {
  at: number;
  rows: number;
}

/** Grows the arena. */
export function layOutSteps(arena: Arena, step: number, { view, map, weights }: IsthmusSetup): StepRows {
  const rows = Math.min(map[0], view.rows);
  const stride = view.columns + 4;
  const at = arena.take(4 * rows * stride);
  arena.grow();
  const steps = arena.words(at, rows * stride).fill(1);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < view.columns; x++)
      steps[row * stride + x] = stepAt(step, weights[row * map[1] + (x % map[1])]!);
  }
  return { at, rows };
}

/** The block transform of all columns or rows, from one piece to another. Grows the arena. */
export function transformBlocks(
  arena: Arena,
  direction: 'columns' | 'rows',
  inverse: boolean,
  { view, codedPlanes, block }: IsthmusSetup,
  from: number,
  to: number,
): void {
  const side = direction === 'columns' ? block[0] : block[1];
  const matrix = arena.take(4 * 16 * 16);
  arena.grow();
  const d = dctMatrix(side);
  const entries = arena.words(matrix, 256).fill(0);
  // D gives frequencies of places, its transpose places of frequencies. Columns want a row of factors for each output, rows
  // one for each input.
  const byOutput = (output: number, input: number) =>
    inverse ? d[input * side + output]! : d[output * side + input]!;
  for (let i = 0; i < side; i++) {
    for (let k = 0; k < side; k++) {
      if (direction === 'columns') entries[i * side + k] = byOutput(i, k);
      else entries[k * 16 + i] = byOutput(i, k);
    }
  }
  const rows = codedPlanes * view.rows;
  if (direction === 'columns') arena.kernels.isthmusBlockColumns(from, rows, view.columns, side, matrix, to);
  else arena.kernels.isthmusBlockRows(from, rows * view.columns, side, matrix, to);
}
