// Tensors to a frame and back in one call: codec/cpu and wire put together, for programs that bring their own link.
import { IsthmusError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Frame } from '../wire/layout.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { decodeTensors } from './cpu/decode.ts';
import { encodeTensor } from './cpu/encode.ts';
import { type CodecParams, type EncodedTensor, type PresetName, resolveCodec } from './params.ts';
import type { CodecProfile } from './profile.ts';

/** What a reader is willing to decode; sizes default to 64 MiB (and a header). */
export interface Limits {
  /** Largest frame, in bytes. */
  frameBytes?: number;
  /** Largest sum of decoded tensors, in bytes. */
  outputBytes?: number;
  /**
   * Most elements that the tensors declare in all, checked before any is decoded. It bounds the time: about 50 ms a million on
   * one slow core, however small the frame, because a hundred bytes may declare as much as the limits allow. By default what
   * `outputBytes` allows, which is 2^24 of a compressed family. A server sets what its models need.
   */
  maxElements?: number;
  /** The codec profiles that tensors of family `isthmus` may refer to, by name; by default none is known. */
  profiles?: (name: string) => CodecProfile | undefined;
}

/** Everything of a frame but its tensors; what is left out gets a neutral value. */
export type FrameOptions = Partial<Omit<Frame, 'tensors'>> & {
  /** Preset name or parameters; default `isthmus`. */
  codec?: PresetName | CodecParams;
};

/** A frame whose tensors are decoded. */
export type DecodedFrame = Omit<Frame, 'tensors'> & { tensors: Tensor[] };

/**
 * Compresses tensors into one self-contained, checksummed frame. Tensors that are encoded already, by `GpuEncoder` for
 * instance, are taken as they are.
 *
 * @param tensors at most 64, of at most 8 dimensions
 * @throws IsthmusError what `encode` throws, FRAME_INVALID for options that do not fit into a frame, TOO_LARGE (meta and
 *   params above 64 KiB)
 * @example
 * socket.send(encodeFrame([feature], { codec: 'slicer-fine', meta: { id: 7 } }));
 */
export function encodeFrame(
  tensors: readonly (Tensor | EncodedTensor)[],
  options: FrameOptions = {},
): Uint8Array<ArrayBuffer> {
  const { codec = 'isthmus', kind = 'request', modelTag = '0'.repeat(16), cut = 0, meta = {} } = options;
  return writeFrame({ kind, modelTag, cut, meta, tensors: encodeAll(tensors, resolveCodec(codec)) });
}

/** What is not encoded yet is. */
export function encodeAll(
  tensors: readonly (Tensor | EncodedTensor)[],
  params: CodecParams,
): EncodedTensor[] {
  if (!Array.isArray(tensors))
    throw new IsthmusError('INPUT_INVALID', 'A frame carries a list of tensors. Put a single one into [ ].');
  return (tensors as readonly (Tensor | EncodedTensor)[]).map((t) =>
    t && 'family' in t ? t : encodeTensor(t, params),
  );
}

/**
 * Reads a frame from bytes that nobody vouches for and decodes its tensors.
 *
 * @throws IsthmusError FRAME_INVALID (no frame, or one whose codec profile `limits` does not give), FRAME_CORRUPT (checksum),
 *   FRAME_VERSION, TOO_LARGE (more bytes or elements than `limits`), CODEC_INVALID, INPUT_INVALID (no Uint8Array); never anything else, and never after allocating
 *   more than the limits allow (float16 of a lossy family counts as 4 bytes an element)
 * @example
 * const { tensors, meta } = decodeFrame(new Uint8Array(await response.arrayBuffer()));
 */
export function decodeFrame(bytes: Uint8Array, limits: Limits = {}): DecodedFrame {
  const frame = readFrame(bytes, limits);
  return { ...frame, tensors: decodeTensors(frame.tensors, limits) };
}
