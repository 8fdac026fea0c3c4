// The WebAssembly decoder of family `isthmus`. It gives the values of codec/reference and refuses the same streams; for
// constants, unknown flags, or where it cannot run, it gives nothing, and the decoder in codec/cpu takes over.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { TOKENS } from '../profile.ts';
import { largestDecoded } from '../reference/isthmusFixed.ts';
import {
  type IsthmusHeader,
  type IsthmusSetup,
  type ProfileLookup,
  readIsthmusParams,
} from '../reference/isthmusSetup.ts';
import { indexStream } from '../reference/rans.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { type Arena, longestPayload, MAX_DECODED_ELEMENTS, withArena } from './arena.ts';
import { layOutSteps, layOutTask, SLACK, transformBlocks } from './isthmusTask.ts';

/** What the decoder may read behind the stream, four bytes a symbol, before it looks for lanes that ran over. */
const OVERRUN = 4 * 1024 + SLACK;

/**
 * @param total product of the shape, checked against the limits by the caller
 * @returns the elements; `undefined`: ask codec/cpu
 * @throws IsthmusError FRAME_INVALID
 */
export function decodeIsthmus(
  { flags, params, payload, shape }: EncodedTensor,
  total: number,
  profiles: ProfileLookup,
): Float32Array | undefined {
  if (flags & ~(TENSOR_FLAGS.SANITISED | TENSOR_FLAGS.SIGNED)) return undefined;
  if (total === 0 || total > MAX_DECODED_ELEMENTS / 2) return undefined;
  if (payload.length > longestPayload(total)) return undefined;
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  return withArena((arena) => {
    const { header, setup } = readIsthmusParams(params, shape, profiles);
    const quantised = decodeSymbols(arena, payload, header, setup, signed);
    const values = rebuild(arena, quantised, header, setup);
    const output = arena.take(4 * total + SLACK);
    const means = setup.means ? arena.take(2 * setup.means.length) : 0;
    arena.grow();
    if (setup.means) arena.halfwords(means, setup.means.length).set(setup.means);
    const { planes, rows, columns } = setup.view;
    const limit = largestDecoded(setup.exponent);
    arena.kernels.isthmusToFloat(
      values,
      planes,
      rows * columns,
      means,
      setup.channels,
      header.nonnegative ? 0 : -limit,
      limit,
      setup.exponent,
      output,
    );
    return new Float32Array(arena.copy(output, 4 * total));
  });
}

/** @returns where the quantised coefficients are @throws IsthmusError FRAME_INVALID */
function decodeSymbols(
  arena: Arena,
  payload: Uint8Array,
  { lanes, sent, shift }: IsthmusHeader,
  setup: IsthmusSetup,
  signed: boolean,
): number {
  const { states, firstByte, starts } = indexStream(payload, lanes);
  const tables = sent ?? setup.tables;
  const freqs = arena.take(2 * tables.length);
  const stream = arena.take(payload.length + OVERRUN);
  const task = layOutTask(arena, setup, { lanes, signed, shift, tables, slotBytes: 4096, stepBytes: 128 });
  arena.halfwords(freqs, tables.length).set(tables);
  arena.bytes(stream, payload.length).set(payload);
  const records = arena.words(task.lane, 4 * lanes);
  for (let l = 0; l < lanes; l++) {
    records[4 * l] = states[l]!;
    records[4 * l + 1] = stream + firstByte + 2 * starts[l]!;
    records[4 * l + 2] = stream + firstByte + 2 * starts[l + 1]!;
  }
  arena.kernels.isthmusDecodeTables(freqs, tables.length / TOKENS, task.slots, task.steps);
  // It refuses what the reference refuses; to decode a million symbols again for the reason would take as long once more.
  if (arena.kernels.isthmusDecode(task.at) !== 1)
    throw damaged('a lane does not end with its words, or it uses a frequency table that was not sent');
  return task.quantised;
}

/** From quantised coefficients to the fixed-point feature, but for the means. @returns where it is */
function rebuild(arena: Arena, quantised: number, { step }: IsthmusHeader, setup: IsthmusSetup): number {
  const { view, codedPlanes, block, rho, channels, rank, transform } = setup;
  const { rows, columns } = view;
  const area = rows * columns;
  const steps = layOutSteps(arena, step, setup);
  let here = arena.take(4 * codedPlanes * area + SLACK);
  let there = arena.take(4 * codedPlanes * area + SLACK);
  arena.grow();
  const allRows = codedPlanes * rows;
  arena.kernels.isthmusDequantise(
    quantised,
    allRows,
    columns,
    rows,
    steps.at,
    steps.rows,
    rho[0],
    rho[1],
    here,
  );
  for (const direction of ['columns', 'rows'] as const) {
    if (block[direction === 'columns' ? 0 : 1] === 1) continue;
    transformBlocks(arena, direction, true, setup, here, there);
    [here, there] = [there, here];
  }
  if (!transform) return here;
  const matrix = arena.take(2 * transform.synthesis.length);
  const tile = arena.take(64 * rank);
  const to = arena.take(4 * view.planes * area + SLACK);
  arena.grow();
  arena.halfwords(matrix, transform.synthesis.length).set(transform.synthesis);
  arena.kernels.isthmusChannels(
    here,
    view.planes / channels,
    area,
    rank,
    channels,
    0,
    matrix,
    transform.shiftB,
    0,
    tile,
    to,
  );
  return to;
}
