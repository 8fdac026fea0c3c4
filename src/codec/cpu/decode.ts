// Encoded tensor in, tensor out, on the CPU of the tail: checks what is declared before anything is allocated, picks
// the family, rounds to float16 where that is wanted. Pictures are not decoded here; the tail has its own way for them.
import { IsthmusError } from '../../errors.ts';
import type { Tensor } from '../../tensor.ts';
import { countedBytes, type EncodedTensor, LIMITS, TENSOR_FLAGS } from '../params.ts';
import type { CodecProfile } from '../profile.ts';
import { declaredElements } from '../reference/declaredElements.ts';
import { narrow, toFloat16 } from '../reference/float16.ts';
import { decodeRaw } from '../reference/raw.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { KEEP_BYTES } from '../wasm/arena.ts';
import { decodeIsthmus as decodeIsthmusFast } from '../wasm/decodeIsthmus.ts';
import { decodeRans as decodeRansFast } from '../wasm/decodeRans.ts';
import { decodeSlicer as decodeSlicerFast } from '../wasm/decodeSlicer.ts';
import { dropKernels } from '../wasm/kernels.ts';
import { decodeIsthmus } from './decodeIsthmus.ts';
import { decodeRans } from './decodeRans.ts';
import { decodeSlicer } from './decodeSlicer.ts';

export interface DecodeLimits {
  /** Largest decoded tensor in bytes; default 64 MiB. */
  outputBytes?: number;
  /** Most elements of all tensors together, whatever their type; by default what `outputBytes` allows. */
  maxElements?: number;
  /** The codec profiles that frames may refer to, by name; by default none is known. */
  profiles?: (name: string) => CodecProfile | undefined;
}

/** Decoder of a lossy family: encoded tensor and its checked number of elements in, numbers out. */
type FloatDecoder = (encoded: EncodedTensor, count: number) => Float32Array;

/**
 * What tensors of one frame may declare, in bytes, for the kernels to take part: with their memory it is as much as the largest
 * tensors alone, so no frame makes us hold more. TypeScript decodes larger frames in the memory of their results.
 */
const BESIDE_KERNELS = LIMITS.outputBytes - KEEP_BYTES;

/**
 * Decodes the tensors of one frame. All that they declare is checked before the first is decoded. Results and the kernels' memory
 * together take at most 64 MiB.
 *
 * @throws IsthmusError as {@link decodeTensor}, and TOO_LARGE for more than `maxElements` in all
 */
export function decodeTensors(all: readonly EncodedTensor[], limits: DecodeLimits = {}): Tensor[] {
  const { outputBytes = LIMITS.outputBytes, maxElements = Number.POSITIVE_INFINITY } = limits;
  const counts = all.map((t) => declaredElements(t, outputBytes));
  const elements = counts.reduce((sum, count) => sum + count, 0);
  if (elements > maxElements)
    throw new IsthmusError(
      'TOO_LARGE',
      `${elements} elements are declared and maxElements is ${maxElements}. Send less at once or raise it in the options of the decoder.`,
    );
  const bytes = all.reduce((sum, t, i) => sum + counts[i]! * countedBytes(t.family, t.dtype), 0);
  const kernels = bytes <= BESIDE_KERNELS;
  if (!kernels) dropKernels(); // what earlier calls needed
  return all.map((t, i) => decodeCounted(t, counts[i]!, limits, kernels));
}

/**
 * Takes no memory beside the result's; a float16 tensor of a lossy family keeps the 4 bytes an element that it was decoded
 * in, and counts as such. The kernels' memory, at most 32 MiB, is kept from call to call. Tensors that come together go
 * through {@link decodeTensors}.
 *
 * @returns the tensor; raw data shares memory with the payload where its address allows
 * @throws IsthmusError FRAME_INVALID (breaks FORMAT.md), TOO_LARGE (above the limit), CODEC_INVALID (a family that is
 *   not decoded here)
 */
export function decodeTensor(encoded: EncodedTensor, limits: DecodeLimits = {}): Tensor {
  return decodeTensors([encoded], limits)[0]!;
}

/** @param kernels whether WebAssembly may take part */
function decodeCounted(
  encoded: EncodedTensor,
  count: number,
  { profiles = () => undefined }: DecodeLimits,
  kernels: boolean,
): Tensor {
  const choose =
    (fast: (t: EncodedTensor, n: number) => Float32Array | undefined, slow: FloatDecoder): FloatDecoder =>
    (t, n) =>
      (kernels ? fast(t, n) : undefined) ?? slow(t, n);
  switch (encoded.family) {
    case 'raw':
      return decodeRaw(encoded);
    case 'slicer':
      return decodeFloats(encoded, count, choose(decodeSlicerFast, decodeSlicer));
    case 'rans':
      return decodeFloats(encoded, count, choose(decodeRansFast, decodeRans));
    case 'isthmus':
      return decodeFloats(
        encoded,
        count,
        choose(
          (t, n) => decodeIsthmusFast(t, n, profiles),
          (t, n) => decodeIsthmus(t, n, profiles),
        ),
      );
    default:
      throw new IsthmusError(
        'CODEC_INVALID',
        `The codec family '${encoded.family}' is not decoded to a tensor here. Send the feature as raw, slicer, rans or isthmus.`,
      );
  }
}

function decodeFloats(encoded: EncodedTensor, count: number, decode: FloatDecoder): Tensor {
  const { family, dtype, shape } = encoded;
  if (dtype !== 'float32' && dtype !== 'float16')
    throw damaged(`${family} carries float32 or float16, not ${dtype}`);
  if (count > 2 ** 24) throw damaged(`${family} carries at most 2^24 elements, not ${count}`);
  if (dtype === 'float32') return { dtype, shape, data: decode(encoded, count) };
  if (encoded.flags & TENSOR_FLAGS.CONST && count > 1) {
    const [value] = toFloat16(decode({ ...encoded, shape: [1] }, 1)); // a hundred bytes shall not unpack to floats first
    return { dtype, shape, data: new Uint16Array(count).fill(value!) };
  }
  return { dtype, shape, data: narrowInPlace(decode(encoded, count)) };
}

/** float16 patterns in the first half of the memory of `floats`, which are lost. */
function narrowInPlace(floats: Float32Array): Uint16Array {
  const patterns = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halves = new Uint16Array(floats.buffer, floats.byteOffset, floats.length);
  for (let i = 0; i < halves.length; i++) halves[i] = patterns[i] === 0 ? 0 : narrow(patterns[i]!); // most are zero
  return halves;
}
