// isthmus/codec: the feature codec alone, on the CPU, for programs that bring their own model and link. Four functions
// over codec/cpu and wire; the GPU encoder lives with the head and makes the same bytes (FORMAT.md).
import type { Tensor } from '../tensor.ts';
import type { Frame } from '../wire/layout.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { decodeTensor } from './cpu/decode.ts';
import { encodeTensor } from './cpu/encode.ts';
import { type CodecParams, type EncodedTensor, type PresetName, resolveCodec } from './params.ts';

export type { ErrorCode, IsthmusError } from '../errors.ts';
export type { DType, Tensor, TensorData } from '../tensor.ts';
export type { Frame, FrameKind, FrameMeta } from '../wire/layout.ts';
export type {
  CodecParams,
  DistortionBudget,
  EncodedTensor,
  PresetName,
  RawParams,
  SlicerParams,
} from './params.ts';

/** What a reader is willing to decode; both default to 64 MiB (and a header). */
export interface Limits {
  /** Largest frame, in bytes. */
  frameBytes?: number;
  /** Largest sum of decoded tensors, in bytes. */
  outputBytes?: number;
}

/** Everything of a frame but its tensors; what is left out gets a neutral value. */
export type FrameOptions = Partial<Omit<Frame, 'tensors'>> & {
  /** Preset name or parameters; default `slicer`. */
  codec?: PresetName | CodecParams;
};

/** A frame whose tensors are decoded. */
export type DecodedFrame = Omit<Frame, 'tensors'> & { tensors: Tensor[] };

/**
 * Compresses one tensor. Element types other than float32 are kept as they are, whatever the codec.
 *
 * @param codec preset name or parameters; `raw` is lossless
 * @throws IsthmusError CODEC_INVALID (parameters), INPUT_INVALID (shape and data disagree), TOO_LARGE (above 64 MiB),
 *   FEATURE_NOT_FINITE (NaN or infinity under `strict`)
 * @example
 * const small = encode({ dtype: 'float32', shape: [1, 64, 14, 14], data: feature }, 'slicer');
 * console.log(small.payload.length, 'of', feature.byteLength, 'bytes');
 */
export function encode(tensor: Tensor, codec: PresetName | CodecParams = 'slicer'): EncodedTensor {
  return encodeTensor(tensor, resolveCodec(codec));
}

/**
 * Decompresses one tensor; needs nothing but what `encode` returned.
 *
 * @throws IsthmusError FRAME_INVALID (damaged), TOO_LARGE (declares more than the limit), CODEC_INVALID (a family that is
 *   no tensor codec, such as `image`)
 * @example
 * const feature = decode(small).data as Float32Array;
 */
export function decode(encoded: EncodedTensor, limits?: Pick<Limits, 'outputBytes'>): Tensor {
  return decodeTensor(encoded, limits);
}

/**
 * Compresses tensors into one self-contained, checksummed frame.
 *
 * @throws what {@link encode} throws, and FRAME_INVALID for options that do not fit into a frame
 * @example
 * socket.send(encodeFrame([feature], { codec: 'slicer-fine', meta: { id: 7 } }));
 */
export function encodeFrame(tensors: readonly Tensor[], options: FrameOptions = {}): Uint8Array<ArrayBuffer> {
  const { codec = 'slicer', kind = 'request', modelTag = '0'.repeat(16), cut = 0, meta = {} } = options;
  const params = resolveCodec(codec);
  return writeFrame({ kind, modelTag, cut, meta, tensors: tensors.map((t) => encodeTensor(t, params)) });
}

/**
 * Reads a frame from bytes that nobody vouches for and decodes its tensors.
 *
 * @throws IsthmusError FRAME_INVALID, FRAME_CORRUPT (checksum), FRAME_VERSION, TOO_LARGE, CODEC_INVALID; never anything
 *   else, and never after allocating more than the limits allow
 * @example
 * const { tensors, meta } = decodeFrame(new Uint8Array(await response.arrayBuffer()));
 */
export function decodeFrame(bytes: Uint8Array, limits: Limits = {}): DecodedFrame {
  const frame = readFrame(bytes, limits);
  return { ...frame, tensors: frame.tensors.map((t) => decodeTensor(t, limits)) };
}
