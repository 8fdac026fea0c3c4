// The WebAssembly encoder of family `isthmus`: byte for byte what codec/reference makes. Where it cannot run, for what needs no
// speed (constants, refusals), and for targets that are met by trial, it gives nothing, and the encoder in codec/cpu does it.
import { type IsthmusPlan, isthmusLanes, SENT_TABLES_FROM } from '../isthmusPlan.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { misfit, NEIGHBOUR_TABLES, TOKENS, viewOf } from '../profile.ts';
import { sharedExponent } from '../reference/float.ts';
import { absoluteStep, classShift } from '../reference/isthmusFixed.ts';
import {
  DEAD_ZONE,
  type IsthmusSetup,
  plainBlock,
  plainSetup,
  RHO,
  setupOf,
  writeIsthmusParams,
} from '../reference/isthmusSetup.ts';
import { normalise } from '../reference/ransTable.ts';
import { type Arena, withArena } from './arena.ts';
import {
  layOutSteps,
  layOutTask,
  MAX_ISTHMUS_ELEMENTS,
  SLACK,
  takeMagnitudes,
  transformBlocks,
} from './isthmusTask.ts';
import { ELEMENT_SLACK, loadElements, loadPatterns } from './loadElements.ts';

/** Encoder's bytes a token in a table of steps. */
const STEP_BYTES = 16 * 32;
const COUNT_ROOM = 32;

/**
 * @param data float32 elements, row-major; not modified
 * @returns `undefined`: ask codec/cpu
 */
export function encodeIsthmus(
  data: Float32Array,
  shape: readonly number[],
  plan: IsthmusPlan,
): EncodedTensor | undefined {
  const total = data.length;
  const { kind } = plan.step;
  if (total === 0 || total > MAX_ISTHMUS_ELEMENTS || kind === 'bytes' || kind === 'distortion')
    return undefined;
  if (plan.profile && misfit(viewOf(shape), plan.profile)) return undefined;
  return withArena((arena) => {
    const source = arena.take(4 * total + ELEMENT_SLACK);
    const load = plan.profile ? loadPatterns : loadElements;
    const extent = load(arena, data, plan.strict, source);
    if (!extent) return undefined;
    const exponent = plan.profile?.exponent ?? sharedExponent(Math.max(extent.positive, extent.negative));
    const setup = plan.profile
      ? setupOf(shape, plan.profile)
      : plainSetup(shape, exponent, plainBlock(shape, plan), RHO[plan.transform]);
    const rows = setup.codedPlanes * setup.view.rows;
    const lanes = plan.lanes ?? isthmusLanes(rows * setup.view.columns, rows);
    if (lanes > rows) return undefined;

    const fixed = arena.take(4 * total + SLACK);
    const range = arena.take(8);
    arena.grow();
    arena.kernels.isthmusToFixed(source, total, exponent, fixed, range);
    const [least, most] = new Int32Array(arena.words(range, 2)) as unknown as [number, number];
    const step = stepFor(plan, Math.max(most, -least), exponent);
    const coefficients = transform(arena, fixed, setup);
    const { params, payload, signed } = code(arena, coefficients, step, lanes, setup, plan, least >= 0);
    return {
      family: 'isthmus',
      dtype: 'float32',
      shape,
      flags: extent.flags | (signed ? TENSOR_FLAGS.SIGNED : 0),
      params,
      payload,
    };
  });
}

function stepFor({ step: rule }: IsthmusPlan, largest: number, exponent: number): number {
  if (rule.kind === 'fixed') return rule.step;
  if (rule.kind === 'absolute') return absoluteStep(rule.bits, exponent);
  if (rule.kind === 'relative') return Math.max(1, Math.floor((largest * rule.budgetQ16 + 32768) / 65536));
  return 1; // by trial: not here
}

/** Channels, then blocks. @returns where the coefficients are */
function transform(arena: Arena, fixed: number, setup: IsthmusSetup): number {
  const { view, codedPlanes, block, means } = setup;
  const area = view.rows * view.columns;
  let here = fixed;
  if (setup.transform || means) here = transformChannels(arena, fixed, setup);
  let there = arena.take(4 * codedPlanes * area + SLACK);
  for (const direction of ['rows', 'columns'] as const) {
    if (block[direction === 'columns' ? 0 : 1] === 1) continue;
    transformBlocks(arena, direction, false, setup, here, there);
    [here, there] = [there, here];
  }
  return here;
}

/** Takes the means away and transforms, if there is a transform. */
function transformChannels(
  arena: Arena,
  fixed: number,
  { view, codedPlanes, channels, rank, means, transform }: IsthmusSetup,
): number {
  const area = view.rows * view.columns;
  const mean = arena.take(2 * channels);
  arena.grow();
  arena
    .halfwords(mean, channels)
    .fill(0)
    .set(means ?? []);
  if (!transform) {
    arena.kernels.isthmusCentre(fixed, view.planes, area, mean, channels);
    return fixed;
  }
  const matrix = arena.take(2 * transform.analysis.length);
  const tile = arena.take(64 * channels);
  const to = arena.take(4 * codedPlanes * area + SLACK);
  arena.grow();
  arena.halfwords(matrix, transform.analysis.length).set(transform.analysis);
  arena.kernels.isthmusChannels(
    fixed,
    view.planes / channels,
    area,
    channels,
    rank,
    mean,
    matrix,
    transform.shiftA,
    1,
    tile,
    to,
  );
  return to;
}

/** Quantises and codes. */
function code(
  arena: Arena,
  coefficients: number,
  step: number,
  lanes: number,
  setup: IsthmusSetup,
  plan: IsthmusPlan,
  nonnegative: boolean,
): { params: Uint8Array; payload: Uint8Array; signed: boolean } {
  const { kernels } = arena;
  const { view, codedPlanes } = setup;
  const { rows, columns } = view;
  const allRows = codedPlanes * rows;
  const count = allRows * columns;
  const steps = layOutSteps(arena, step, setup);
  const quantised = arena.take(2 * count + SLACK);
  const magnitudes = takeMagnitudes(arena, count);
  const numbers = arena.take(count);
  arena.grow();
  const signed =
    kernels.isthmusQuantise(
      coefficients,
      allRows,
      columns,
      rows,
      steps.at,
      steps.rows,
      plan.profile?.deadZone ?? DEAD_ZONE[plan.transform],
      quantised,
      magnitudes,
    ) === 1;

  const shift = setup.classes ? classShift(step) : 0;
  const task = layOutTask(arena, setup, {
    ...{ lanes, signed, shift, tables: setup.tables, quantised, magnitudes, numbers },
    slotBytes: 4 * COUNT_ROOM,
    stepBytes: STEP_BYTES,
  });
  const counts = (setup.tables.length / TOKENS) * COUNT_ROOM;
  arena.words(task.slots, counts).fill(0);
  kernels.isthmusNumbers(task.at);
  const sends = !plan.profile && (plan.sentTables ?? count >= SENT_TABLES_FROM);
  const sent = sends ? tablesOf(arena.words(task.slots, counts)) : undefined;

  const tables = sent ?? setup.tables;
  const freqs = arena.take(2 * tables.length);
  const words = arena.take(4 * count);
  const stream = arena.take(8 * lanes + 4 * count);
  arena.grow();
  arena.halfwords(freqs, tables.length).set(tables);
  for (let k = 0; k < tables.length / TOKENS; k++)
    kernels.ransEncodeTable(freqs + 2 * TOKENS * k, TOKENS, task.steps + STEP_BYTES * k);
  const bytes = kernels.isthmusEncode(task.at, words, stream);
  const header = { lanes, shift, step, nonnegative, ...(sent && { sent }) };
  return {
    params: writeIsthmusParams(header, setup, plan.profile),
    payload: new Uint8Array(arena.copy(stream, bytes)),
    signed,
  };
}

/** Tables from what is to be coded; a table that nothing uses stays 0. */
function tablesOf(counts: Uint32Array): Uint16Array {
  const tables = new Uint16Array(NEIGHBOUR_TABLES * TOKENS);
  for (let k = 0; k < NEIGHBOUR_TABLES; k++) {
    const row = counts.subarray(k * COUNT_ROOM, k * COUNT_ROOM + TOKENS);
    if (row.some((n) => n > 0)) tables.set(normalise(row), k * TOKENS);
  }
  return tables;
}
