// From quantised coefficients of family `isthmus` to params and payload: tables, steps of the entropy coder, lanes. What a GPU
// or WebAssembly has quantised is finished here too. It transforms and quantises nothing.
import { bad } from '../checks.ts';
import { type IsthmusPlan, isthmusLanes, SENT_TABLES_FROM } from '../isthmusPlan.ts';
import { NEIGHBOUR_TABLES, TOKENS } from '../profile.ts';
import { classShift } from '../reference/isthmusFixed.ts';
import { type IsthmusHeader, type IsthmusSetup, writeIsthmusParams } from '../reference/isthmusSetup.ts';
import { normalise } from '../reference/ransTable.ts';
import { tableNumbers } from './isthmusContexts.ts';
import { encodeStream, packStep, stepsOfTable } from './ransLanes.ts';

/** What a tensor of this family carries besides shape and the flags of the input. */
export interface CodedSymbols {
  params: Uint8Array;
  payload: Uint8Array;
  signed: boolean;
}

/** First rows of all lanes, and the number of rows. */
export function laneBounds(lanes: number, rows: number): Uint32Array {
  return Uint32Array.from({ length: lanes + 1 }, (_, lane) => Math.floor((lane * rows) / lanes));
}

/**
 * @param q quantised coefficients, P' planes, within ±4109
 * @param nonnegative no element of the fixed-point feature is negative
 * @throws IsthmusError CODEC_INVALID for more lanes than rows
 */
export function codeQuantised(
  q: Int32Array,
  step: number,
  setup: IsthmusSetup,
  plan: IsthmusPlan,
  nonnegative: boolean,
): CodedSymbols {
  const { columns } = setup.view;
  const rows = q.length / columns;
  const lanes = plan.lanes ?? isthmusLanes(q.length, rows);
  if (lanes > rows) throw bad(`${lanes} lanes are more than the feature has rows.`);
  const shift = setup.classes ? classShift(step) : 0;
  const lanesFirst = laneBounds(lanes, rows);
  const numbers = tableNumbers(q, lanesFirst, shift, setup);
  const sends = !plan.profile && (plan.sentTables ?? q.length >= SENT_TABLES_FROM);
  const sent = sends ? countTables(q, numbers) : undefined;
  const { steps, ends, signed } = stepsOfSymbols(
    q,
    numbers,
    sent ? stepsOfTables(sent) : knownSteps(setup.tables),
    lanesFirst,
    columns,
  );
  const header: IsthmusHeader = { lanes, shift, step, nonnegative, ...(sent && { sent }) };
  const rangeOf = (lane: number) => ({ first: lane > 0 ? ends[lane - 1]! : 0, end: ends[lane]!, stride: 1 });
  return {
    params: writeIsthmusParams(header, setup, plan.profile),
    payload: encodeStream(steps, lanes, rangeOf),
    signed,
  };
}

/** Raw bits of a magnitude from 15 on. */
const extraBits = (magnitude: number) => 31 - Math.clz32(magnitude - 14);

/** Token of a magnitude. */
const tokenOf = (magnitude: number) => (magnitude < 15 ? magnitude : 15 + extraBits(magnitude));

/** A step per token and one per magnitude with raw bits; `ends`: one past the last of each lane. */
function stepsOfSymbols(
  q: Int32Array,
  numbers: Uint8Array,
  tables: Uint32Array,
  lanesFirst: Uint32Array,
  columns: number,
): { steps: Uint32Array; ends: Uint32Array; signed: boolean } {
  let nonzero = 0;
  let large = 0;
  let signs = 0;
  for (let i = 0; i < q.length; i++) {
    const value = q[i]!;
    signs |= value;
    if (value !== 0) nonzero++;
    if (value > 15 || value < -15) large++;
  }
  const signed = signs < 0;
  const steps = new Uint32Array(q.length + (signed ? nonzero : large));
  const ends = new Uint32Array(lanesFirst.length - 1);
  let to = 0;
  for (let lane = 0, at = 0; lane < ends.length; lane++) {
    for (const end = lanesFirst[lane + 1]! * columns; at < end; at++) {
      const value = q[at]!;
      const row = Math.imul(numbers[at]!, TOKENS);
      if (value === 0) {
        steps[to++] = tables[row]!;
        continue;
      }
      const magnitude = value < 0 ? -value : value;
      steps[to++] = tables[row + tokenOf(magnitude)]!;
      const bits = magnitude < 15 ? 0 : extraBits(magnitude);
      const raw = magnitude < 15 ? 0 : magnitude - 14 - (1 << bits);
      if (signed) steps[to++] = packBits(2 * raw + (value < 0 ? 1 : 0), bits + 1);
      else if (bits > 0) steps[to++] = packBits(raw, bits);
    }
    ends[lane] = to;
  }
  return { steps, ends, signed };
}

/** Raw bits as a step. */
function packBits(value: number, bits: number): number {
  return packStep(1 << (12 - bits), value << (12 - bits));
}

/** Tables from what is to be coded; a table that nothing uses stays 0. */
function countTables(q: Int32Array, numbers: Uint8Array): Uint16Array {
  const counts = new Uint32Array(NEIGHBOUR_TABLES * TOKENS);
  for (let i = 0; i < q.length; i++) {
    const magnitude = q[i]! < 0 ? -q[i]! : q[i]!;
    counts[Math.imul(numbers[i]!, TOKENS) + tokenOf(magnitude)]!++;
  }
  const tables = new Uint16Array(counts.length);
  for (let k = 0; k < NEIGHBOUR_TABLES; k++) {
    const row = counts.subarray(k * TOKENS, (k + 1) * TOKENS);
    if (row.some((n) => n > 0)) tables.set(normalise(row), k * TOKENS);
  }
  return tables;
}

/** A packed step per table and token. */
function stepsOfTables(tables: Uint16Array): Uint32Array {
  const steps = new Uint32Array(tables.length);
  for (let k = 0; k < tables.length; k += TOKENS) steps.set(stepsOfTable(tables.subarray(k, k + TOKENS)), k);
  return steps;
}

const kept = new WeakMap<Uint16Array, Uint32Array>();

/** The same for tables that stay: those of the format and of profiles. */
function knownSteps(tables: Uint16Array): Uint32Array {
  const known = kept.get(tables);
  if (known) return known;
  const steps = stepsOfTables(tables);
  kept.set(tables, steps);
  return steps;
}
