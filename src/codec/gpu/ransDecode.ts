// Decoding of family `rans` on the GPU: header, table and the stream's index are checked on the CPU; one pass decodes the
// lanes, two put the elements in their places. What lanes and rows hold is checked by the passes, in a status word that is
// read back: a scan of the payload on the CPU would be decoding it. Few or long lanes are decoded by the CPU, without a map.
import { decodeRans as decodeOnCpu } from '../cpu/decodeRans.ts';
import { slotsOfTable } from '../cpu/ransLanes.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { stepsOf, valuesOf } from '../reference/aiq.ts';
import { readConstant } from '../reference/decodeSlicer.ts';
import { toFloat16 } from '../reference/float16.ts';
import { indexStream } from '../reference/rans.ts';
import { type RansHeader, readRansParams, symbolCount } from '../reference/ransLayout.ts';
import { damaged } from '../reference/slicerLayout.ts';
import type { DecodePlan, GpuDecode } from './family.ts';
import { RANS_DECODER } from './ransShaders.ts';
import { constant } from './slicerDecode.ts';

/**
 * Symbols from which lanes are decoded on the GPU, unless the tuning says otherwise. Below, encoders make at most eight
 * lanes, each a chain of dependent steps, and the status costs a map: the CPU is through with all of them before.
 */
const LANES_FROM = 65_536;
/**
 * Symbols per lane up to which the GPU decodes. Encoders stay below unless told otherwise; one lane of millions of symbols,
 * which a few bytes can claim, would hold a GPU for seconds.
 */
const LANE_SYMBOLS = 65_536;
/** One lane per invocation: small workgroups, so that lanes spread over the processors of the adapter. */
const LANES_PER_WORKGROUP = 32;
/** Bits of `status` in ransTake.wgsl and ransDecoding.wgsl, in the words of codec/reference. */
const WRONGS = [
  'a lane has too few words',
  'a lane has words left over',
  'a lane ends in a wrong state',
  'a code is out of range',
  'its columns do not rise or are out of range',
  'a row has too many elements',
  'its rows do not have all elements',
];

export const decodeRans: GpuDecode = (encoded, count, tuning) => {
  const { dtype, flags, params, payload } = encoded;
  if (flags & ~(TENSOR_FLAGS.CONST | TENSOR_FLAGS.SANITISED))
    throw damaged('it has a flag of another family');
  if (flags & TENSOR_FLAGS.CONST) return constant(encoded, count, readConstant(params, payload, false));
  const header = readRansParams(params, count);
  const { csr, lanes, quantiser } = header;
  const symbols = symbolCount(csr);
  if (symbols < (tuning.lanesFrom ?? LANES_FROM) || symbols > lanes * LANE_SYMBOLS)
    return decoded(encoded, decodeOnCpu(encoded, count));

  const { words, slotsAt, valuesAt, wordsAt } = inputOf(payload, header, dtype);
  const { zero, top } = stepsOf(quantiser);
  const rowsPerRun = Math.ceil(csr.rows / (tuning.workgroup * tuning.workgroups));
  const runs = Math.ceil(csr.rows / rowsPerRun);
  const uniform = Uint32Array.of(
    count,
    0, // the decoder's
    Math.log2(lanes),
    symbols,
    csr.present,
    csr.rows,
    csr.columns,
    zero,
    top,
    slotsAt,
    valuesAt,
    wordsAt,
    rowsPerRun,
    runs,
  );
  const pass = (file: keyof typeof RANS_DECODER, constants: Record<string, number>) => {
    return { name: `rans ${file}`, code: RANS_DECODER[file], constants };
  };
  const WORKGROUP = tuning.workgroup;
  const ofRuns = Math.ceil(runs / WORKGROUP);
  const FEATURE_FLOAT16 = dtype === 'float16' ? 1 : 0;
  return {
    regions: {
      symbols: { bytes: 4 * lanes * Math.ceil(Math.ceil(symbols / lanes) / 4) },
      runs: { bytes: 4 * runs },
      status: { bytes: 4, zeroed: true, output: true },
    },
    stages: [
      {
        uniform,
        storage: ['symbols', 'runs', 'status', 'feature'],
        dispatches: [
          {
            pass: pass('decodeLanes', { WORKGROUP: LANES_PER_WORKGROUP }),
            workgroups: Math.ceil(lanes / LANES_PER_WORKGROUP),
          },
          { pass: pass('sumRuns', { WORKGROUP }), workgroups: ofRuns },
          { pass: pass('place', { WORKGROUP, FEATURE_FLOAT16 }), workgroups: ofRuns },
        ],
      },
    ],
    input: new Uint8Array(words.buffer),
    check: (output) => checkStatus(output('status')),
  };
};

/** A feature that is ready, for upload. */
function decoded({ dtype }: EncodedTensor, values: Float32Array): DecodePlan {
  const { buffer } = dtype === 'float16' ? toFloat16(values) : values;
  return { regions: {}, stages: [], input: new Uint8Array(buffer as ArrayBuffer) };
}

/**
 * What the passes read, in words; see ransTake.wgsl and ransDecoding.wgsl.
 *
 * @throws IsthmusError FRAME_INVALID
 */
function inputOf(
  payload: Uint8Array,
  { quantiser, lanes, table }: RansHeader,
  dtype: EncodedTensor['dtype'],
) {
  const { states, firstByte, starts } = indexStream(payload, lanes);
  const values = valuesOf(quantiser);
  const patterns = dtype === 'float16' ? toFloat16(values) : new Uint32Array(values.buffer);
  const slots = slotsOfTable(table);
  const slotsAt = states.length + starts.length;
  const valuesAt = slotsAt + slots.length;
  const wordsAt = valuesAt + patterns.length;
  const words = new Uint32Array(wordsAt + Math.ceil(starts[lanes]! / 2) + 1);
  words.set(states);
  words.set(starts, lanes);
  words.set(slots, slotsAt);
  words.set(patterns, valuesAt);
  new Uint8Array(words.buffer, 4 * wordsAt).set(payload.subarray(firstByte));
  return { words, slotsAt, valuesAt, wordsAt };
}

/** @throws IsthmusError FRAME_INVALID */
function checkStatus(region: Uint8Array<ArrayBuffer>): void {
  const [status] = new Uint32Array(region.buffer, region.byteOffset, 1);
  if (status) throw damaged(WRONGS[31 - Math.clz32(status & -status)]!);
}
