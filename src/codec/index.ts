// isthmus/codec: the feature codec alone, on the CPU, for programs that bring their own model and link: tensors, frames,
// streams of frames, token contexts. The GPU's half, which makes the same bytes, is isthmus/codec/gpu (FORMAT.md).
import type { Tensor } from '../tensor.ts';
import { decodeTensor } from './cpu/decode.ts';
import { encodeTensor } from './cpu/encode.ts';
import type { Limits } from './frames.ts';
import { type CodecParams, type EncodedTensor, type PresetName, resolveCodec } from './params.ts';

export { type ErrorCode, IsthmusError } from '../errors.ts';
export type { DType, Tensor, TensorData } from '../tensor.ts';
export { type ByteSource, FrameReader } from '../wire/frameReader.ts';
export type { Frame, FrameKind, FrameMeta } from '../wire/layout.ts';
export { readFrame } from '../wire/readFrame.ts';
export { tokenContext } from '../wire/tokenFrame.ts';
export { type DecodedFrame, decodeFrame, encodeFrame, type FrameOptions, type Limits } from './frames.ts';
export type { IsthmusParams } from './isthmusPlan.ts';
export type {
  CodecParams,
  DistortionBudget,
  EncodedTensor,
  PresetName,
  RansParams,
  RawParams,
  SlicerParams,
} from './params.ts';
export { type CodecProfile, parseProfile, profileName, writeProfile } from './profile.ts';
export { openTokens, readTokens, type TokenOptions, type TokenReader, type TokenWriter } from './tokens.ts';

/**
 * Compresses one tensor. float32 and float16 are compressed; element types other than these are kept as they are,
 * whatever the codec. float16 data are bit patterns in a Uint16Array.
 *
 * @param codec preset name or parameters; `raw` is lossless
 * @throws IsthmusError CODEC_INVALID (parameters), INPUT_INVALID (shape, type and data disagree), TOO_LARGE (above 64 MiB),
 *   FEATURE_NOT_FINITE (NaN or infinity under `strict`)
 * @example
 * const small = encode({ dtype: 'float32', shape: [1, 64, 14, 14], data: feature });
 * console.log(small.payload.length, 'of', feature.byteLength, 'bytes');
 */
export function encode(tensor: Tensor, codec: PresetName | CodecParams = 'isthmus'): EncodedTensor {
  return encodeTensor(tensor, resolveCodec(codec));
}

/**
 * Decompresses one tensor; needs nothing but what `encode` returned and, where it was given one, the same codec profile.
 *
 * @throws IsthmusError FRAME_INVALID (damaged, or made with a profile that `limits` does not give), TOO_LARGE (declares more than the limit), CODEC_INVALID (a family that is
 *   no tensor codec, such as `image`)
 * @example
 * const feature = decode(small).data as Float32Array;
 */
export function decode(
  encoded: EncodedTensor,
  limits?: Pick<Limits, 'outputBytes' | 'maxElements' | 'profiles'>,
): Tensor {
  return decodeTensor(encoded, limits);
}
