// Decoding of family `isthmus` on the GPU: header, tables and the stream's index are checked on the CPU, lanes decoded by
// whoever is faster at it, then two to four passes dequantise, transform back and write the feature.
import { decodeSymbols } from '../cpu/isthmusDecoder.ts';
import { TENSOR_FLAGS } from '../params.ts';
import { TOKENS } from '../profile.ts';
import { readConstant } from '../reference/decodeSlicer.ts';
import { largestDecoded } from '../reference/isthmusFixed.ts';
import { type IsthmusHeader, type IsthmusSetup, readIsthmusParams } from '../reference/isthmusSetup.ts';
import { indexStream } from '../reference/rans.ts';
import { damaged } from '../reference/slicerLayout.ts';
import type { GpuDecode, Stage, Tables } from './family.ts';
import {
  basisOf,
  classesOf,
  meansOf,
  NO_MEANS,
  NOTHING,
  synthesisOf,
  weightsOf,
} from './isthmusConstants.ts';
import { LANE_SYMBOLS, LANES_FROM, LANES_PER_WORKGROUP } from './isthmusJob.ts';
import { ISTHMUS_DECODER } from './isthmusShaders.ts';
import { geometryOf, uniformWords } from './isthmusUniform.ts';
import { constant } from './slicerDecode.ts';

const KNOWN = TENSOR_FLAGS.SANITISED | TENSOR_FLAGS.SIGNED | TENSOR_FLAGS.CONST;
/** Bits of `status` in isthmusDecoding.wgsl, in the words of codec/reference. */
const WRONGS = [
  'a lane has too few words',
  'a lane has words left over',
  'a lane ends in a wrong state',
  'it uses a frequency table that was not sent',
];
/** Sums of a table, from 0 to 4096. */
const SUMS = TOKENS + 1;

export const decodeIsthmus: GpuDecode = (encoded, count, tuning, profiles) => {
  const { dtype, flags, params, payload, shape } = encoded;
  if (flags & ~KNOWN) throw damaged('it has an unknown flag');
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  if (flags & TENSOR_FLAGS.CONST) return constant(encoded, count, readConstant(params, payload, signed));
  if (count === 0) throw damaged('it has no element and is not constant');
  const { header, setup } = readIsthmusParams(params, shape, profiles);
  const { view, block, transform } = setup;
  const symbols = setup.codedPlanes * view.rows * view.columns;
  // As for encoding: few or long lanes are the CPU's, and what it has decoded needs no check on the GPU and so no map.
  const onGpu = symbols >= (tuning.lanesFrom ?? LANES_FROM) && symbols <= header.lanes * LANE_SYMBOLS;
  const { words, sumsAt, wordsAt } = onGpu
    ? streamInput(payload, header, setup)
    : symbolInput(payload, header, setup, signed);

  const limit = largestDecoded(setup.exponent);
  const uniform = uniformWords({
    ...geometryOf(setup, header.lanes),
    count,
    symbols,
    exponent: setup.exponent,
    stepValue: header.step,
    shift: transform?.shiftB ?? 0,
    classShift: header.shift,
    rhoOne: setup.rho[0],
    rhoMore: setup.rho[1],
    lowest: header.nonnegative ? 0 : -limit,
    highest: limit,
    signBits: signed ? 1 : 0,
    sumsAt,
    wordsAt,
  });
  const stages: Stage[] = [];
  const add = (
    name: keyof typeof ISTHMUS_DECODER,
    storage: readonly string[],
    tables: readonly Tables[],
    workgroups: number,
    constants: Record<string, number>,
  ) => {
    const pass = { name: `isthmus ${name}`, code: ISTHMUS_DECODER[name], constants };
    stages.push({ uniform, storage: ['status', ...storage], tables, dispatches: [{ pass, workgroups }] });
  };
  const { workgroup, workgroups } = tuning;
  const many = { WORKGROUP: workgroup };
  const fours = Math.min(workgroups, Math.ceil(count / 4 / workgroup));
  if (onGpu) {
    const classes = setup.classes ? classesOf(setup.classes) : NOTHING;
    const constants = { WORKGROUP: LANES_PER_WORKGROUP, CLASSES: setup.classes ? 1 : 0 };
    add('decodeLanes', ['one'], [classes], Math.ceil(header.lanes / LANES_PER_WORKGROUP), constants);
  }
  const ofColumns = [basisOf(block[0]).inverse, weightsOf(setup.weights)];
  add('restoreColumns', ['one', 'two'], ofColumns, fours, { ...many, FROM_INPUT: onGpu ? 0 : 1 });
  const hasRows = block[1] > 1;
  if (hasRows) add('restoreRows', ['two', 'one'], [basisOf(block[1]).inverse], fours, many);
  const last = [hasRows ? 'one' : 'two', 'feature'];
  const ofFeature = { ...many, FEATURE_FLOAT16: dtype === 'float16' ? 1 : 0 };
  const means = setup.means ? meansOf(setup.means) : NO_MEANS;
  if (transform) add('unmix', last, [synthesisOf(transform, setup.rank), means], fours, ofFeature);
  else add('emit', last, [means], fours, ofFeature);
  return {
    regions: {
      status: { bytes: 4, zeroed: true, output: onGpu },
      one: { bytes: 4 * symbols },
      two: { bytes: 4 * symbols },
    },
    stages,
    input: new Uint8Array(words.buffer),
    ...(onGpu && { check: (output) => checkStatus(output('status')) }),
  };
};

/** What passes read of the stream, in words. */
interface Input {
  words: Uint32Array<ArrayBuffer>;
  sumsAt: number;
  wordsAt: number;
}

/** States, starts, sums and words, as decodeLanes.wgsl expects them. */
function streamInput(payload: Uint8Array, header: IsthmusHeader, setup: IsthmusSetup): Input {
  const { states, starts, firstByte } = indexStream(payload, header.lanes);
  const tables = header.sent ?? setup.tables;
  const sumsAt = states.length + starts.length;
  const wordsAt = sumsAt + SUMS * (tables.length / TOKENS);
  const words = new Uint32Array(wordsAt + Math.ceil((payload.length - firstByte) / 4));
  words.set(states);
  words.set(starts, states.length);
  for (let k = 0; k < tables.length / TOKENS; k++) {
    const table = tables.subarray(k * TOKENS, (k + 1) * TOKENS);
    let sum = 0;
    table.forEach((frequency, token) => {
      sum += frequency;
      words[sumsAt + k * SUMS + token + 1] = sum;
    });
    if (sum === 0) words[sumsAt + k * SUMS] = 1;
  }
  new Uint8Array(words.buffer).set(payload.subarray(firstByte), 4 * wordsAt);
  return { words, sumsAt, wordsAt };
}

/** Symbols decoded here, two signed 16-bit numbers per word. */
function symbolInput(
  payload: Uint8Array,
  header: IsthmusHeader,
  setup: IsthmusSetup,
  signed: boolean,
): Input {
  const q = new Int32Array(setup.codedPlanes * setup.view.rows * setup.view.columns);
  decodeSymbols(payload, header, setup, signed, q);
  const words = new Uint32Array(Math.ceil(q.length / 2));
  new Int16Array(words.buffer).set(q);
  return { words, sumsAt: 0, wordsAt: 0 };
}

function checkStatus(read: Uint8Array): void {
  const wrong = WRONGS.find((_, bit) => (read[0]! >> bit) & 1);
  if (wrong !== undefined) throw damaged(wrong);
}
