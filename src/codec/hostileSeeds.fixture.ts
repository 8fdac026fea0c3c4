// Sound frames to be damaged, by family: every small committed vector, float32 and float16, every element type, several
// tensors in a frame, pictures, and token contexts. Only tests and scripts/fuzz.ts import it.
import { DTYPES, elementCount, viewBytes } from '../tensor.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { encodeIsthmus } from './cpu/encodeIsthmus.ts';
import { encodeRans } from './cpu/encodeRans.ts';
import { encodeSlicer } from './cpu/encodeSlicer.ts';
import { extremes } from './extremes.fixture.ts';
import { encodeFrame, openTokens, type Tensor } from './index.ts';
import { type CodecParams, type EncodedTensor, PRESETS, type PresetName } from './params.ts';
import { toFloat16 } from './reference/float16.ts';
import { ISTHMUS_VECTORS } from './reference/isthmusVectors.ts';
import { RANS_VECTORS } from './reference/ransVectors.ts';
import { encodeRaw } from './reference/raw.ts';
import { randomBits, VECTORS } from './reference/vectors.ts';

interface AnyVector<Plan> {
  name: string;
  shape: readonly number[];
  plan: Plan;
  data(): Float32Array;
  refused?: boolean;
}

/** A vector's tensor as an encoder makes it. */
export interface NamedTensor {
  name: string;
  tensor: EncodedTensor;
}

/** @param most largest number of elements */
function encodedVectors<Plan>(
  vectors: readonly AnyVector<Plan>[],
  encode: (data: Float32Array, shape: readonly number[], plan: Plan) => EncodedTensor,
  most: number,
): NamedTensor[] {
  return vectors
    .filter((v) => !v.refused && elementCount(v.shape) <= most)
    .map((v) => ({ name: v.name, tensor: encode(v.data(), v.shape, v.plan) }));
}

/** The committed vectors of the three families up to a number of elements. */
export function vectorTensors(
  most = Number.POSITIVE_INFINITY,
): Record<'slicer' | 'rans' | 'isthmus', NamedTensor[]> {
  return {
    slicer: encodedVectors(VECTORS, encodeSlicer, most),
    rans: encodedVectors(RANS_VECTORS, encodeRans, most),
    isthmus: encodedVectors(ISTHMUS_VECTORS, encodeIsthmus, most),
  };
}

/** A frame around tensors that are encoded already. */
export function frameOf(...tensors: EncodedTensor[]): Uint8Array {
  return writeFrame({ kind: 'request', modelTag: 'feedfacecafebeef', cut: 1, meta: { n: [1] }, tensors });
}

/** Every element type, raw. */
function rawTensors(): EncodedTensor[] {
  const random = randomBits(41);
  return DTYPES.map((dtype, i) => {
    const shape = [2, 1 + i];
    const bytes = new Uint8Array(8 * elementCount(shape));
    for (let at = 0; at < bytes.length; at++) bytes[at] = dtype === 'bool' ? random() & 1 : random() >>> 24;
    return encodeRaw({
      dtype,
      shape,
      data: viewBytes(dtype, bytes).slice(0, elementCount(shape)) as Tensor['data'],
    });
  });
}

/** Noise that no codec makes small, as encoders write it: every branch of a decoder, for every element. */
const NOISY: CodecParams[] = [
  { family: 'slicer', keep: 1, asymmetry: 1, blocks: 16, budget: { kind: 'integer', delta: 0 } },
  { family: 'rans', bits: 8 },
  { family: 'isthmus', quality: 100 },
];

/** Frames that declare `count` elements: a hundred bytes each, every other one float16, and a megabyte of noise each. */
export function extremeFrames(count: number): Uint8Array[] {
  const data = Float32Array.from({ length: count }, (_, i) => ((i * 48_271) % 65_537) / 32_768 - 1);
  const noise: Tensor = { dtype: 'float32', shape: [64, count / 4096, 64], data };
  return [
    ...Object.values(extremes(count)).map((t, i) => frameOf(i % 2 ? { ...t, dtype: 'float16' } : t)),
    ...NOISY.map((codec) => encodeFrame([noise], { codec })),
  ];
}

const wave = (count: number, from = 0) =>
  Float32Array.from({ length: count }, (_, i) => Math.fround((((i + from) * 37) % 101) / 50 - 1) * (i % 5));

/** Tensors of several kinds as one token or one frame has them. */
export function mixedTensors(from: number): Tensor[] {
  return [
    { dtype: 'float16', shape: [4, 24], data: toFloat16(wave(96, from)) },
    { dtype: 'int8', shape: [5], data: Int8Array.of(1, 2, -3, from, 5) },
    { dtype: 'float32', shape: [2, 4, 12], data: wave(96, from) },
    { dtype: 'float16', shape: [7], data: new Uint16Array(7).fill(0x3c00 + from) },
  ];
}

export const PICTURE: EncodedTensor = {
  family: 'image',
  dtype: 'uint8',
  shape: [8, 8, 3],
  flags: 0,
  params: Uint8Array.of(2, 1, 0, 0),
  payload: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9),
};

/** A token context and the body of a sound token 1. */
export interface TokenSeed {
  opening: Uint8Array;
  context: number;
  /** The frame of token 1. */
  token: Uint8Array;
}

export interface Seeds {
  /** Sound frames by family; `several`: tensors of more than one. */
  frames: Record<string, Uint8Array[]>;
  tokens: TokenSeed[];
}

/** @param most largest number of elements of a vector */
export function makeSeeds(most = 1100): Seeds {
  const presets = Object.keys(PRESETS) as PresetName[];
  const half = (tensor: EncodedTensor): EncodedTensor => ({ ...tensor, dtype: 'float16' });
  const { slicer, rans, isthmus } = vectorTensors(most);
  const both = (vectors: NamedTensor[]) =>
    vectors.map(({ tensor }, i) => frameOf(i % 4 === 3 ? half(tensor) : tensor));
  return {
    frames: {
      raw: [...rawTensors().map((t) => frameOf(t)), frameOf(...rawTensors())],
      slicer: both(slicer),
      rans: both(rans),
      isthmus: both(isthmus),
      image: [frameOf(PICTURE)],
      several: [
        ...presets.map((codec) => encodeFrame(mixedTensors(1), { codec, meta: { id: 'é', nested: [{}] } })),
        ...slicer
          .slice(0, 12)
          .map((s, i) => frameOf(s.tensor, half(rans[i]!.tensor), isthmus[i]!.tensor, PICTURE)),
      ],
    },
    tokens: presets.map((codec, i) => {
      const context = i % 8;
      const writer = openTokens(mixedTensors(0), { codec, context });
      return { opening: writer.opening, context, token: writer.encode(mixedTensors(1 + (i % 3))) };
    }),
  };
}
