// Tensor in, encoded tensor out, on the CPU: checks the input, widens float16, picks the codec family. Frames are made
// in wire/.
import { IsthmusError } from '../../errors.ts';
import { arrayName, bytesPerElement, elementCount, holds, type Tensor } from '../../tensor.ts';
import { planIsthmus } from '../isthmusPlan.ts';
import { type CodecParams, type EncodedTensor, LIMITS, planRans, planSlicer } from '../params.ts';
import { toFloat32 } from '../reference/float16.ts';
import { encodeRaw } from '../reference/raw.ts';
import { encodeIsthmus as encodeIsthmusFast } from '../wasm/encodeIsthmus.ts';
import { encodeRans as encodeRansFast } from '../wasm/encodeRans.ts';
import { encodeSlicer as encodeSlicerFast } from '../wasm/encodeSlicer.ts';
import { encodeIsthmus } from './encodeIsthmus.ts';
import { encodeRans } from './encodeRans.ts';
import { encodeSlicer } from './encodeSlicer.ts';

/** Lossy families take no more elements (FORMAT.md). */
const MAX_ELEMENTS = 2 ** 24;

/**
 * float16 is compressed as the float32 numbers it stands for and stays float16 at the other end; element types other
 * than these two always travel raw.
 *
 * @throws IsthmusError INPUT_INVALID (data and shape or element type disagree, more than 8 dimensions), TOO_LARGE (above
 *   64 MiB, or 2^24 elements in a lossy family), CODEC_INVALID (parameters), FEATURE_NOT_FINITE (under `strict`)
 */
export function encodeTensor(tensor: Tensor, params: CodecParams): EncodedTensor {
  const count = checkedCount(tensor);
  const { dtype, shape, data } = tensor;
  if (count * bytesPerElement(dtype) > LIMITS.outputBytes)
    throw tooLarge(count, `${LIMITS.outputBytes} bytes`);
  const compress = compressor(params);
  if (!compress || (dtype !== 'float32' && dtype !== 'float16')) return encodeRaw(tensor);
  if (count > MAX_ELEMENTS) throw tooLarge(count, '2^24 elements of this codec');
  const floats = dtype === 'float16' ? toFloat32(data as Uint16Array) : (data as Float32Array);
  return { ...compress(floats, shape), dtype };
}

/** Elements of a tensor that may come from a program without types. */
function checkedCount(tensor: Tensor): number {
  const { dtype, shape, data } = (tensor ?? {}) as Partial<Tensor>;
  const array = dtype && arrayName(dtype);
  if (!array || !shape || !data) {
    throw new IsthmusError(
      'INPUT_INVALID',
      'A tensor is { dtype, shape, data } with an element type such as float32. Give all three.',
    );
  }
  const count = elementCount(shape);
  if (data.length === count && shape.length <= LIMITS.rank && holds(dtype, data)) return count;
  throw new IsthmusError(
    'INPUT_INVALID',
    `A ${dtype} tensor of shape [${shape}] needs ${count} elements in a ${array} and at most ${LIMITS.rank} dimensions; it has ${data.length} in a ${data[Symbol.toStringTag] ?? 'plain array'}. Correct shape, type or data.`,
  );
}

/** The encoder of a lossy family with its parameters checked; none for raw. */
function compressor(
  params: CodecParams,
): ((data: Float32Array, shape: readonly number[]) => EncodedTensor) | undefined {
  switch (params?.family) {
    case 'raw':
      return undefined;
    case 'slicer': {
      const plan = planSlicer(params);
      return (data, shape) => encodeSlicerFast(data, shape, plan) ?? encodeSlicer(data, shape, plan);
    }
    case 'rans': {
      const plan = planRans(params);
      return (data, shape) => encodeRansFast(data, shape, plan) ?? encodeRans(data, shape, plan);
    }
    case 'isthmus': {
      const plan = planIsthmus(params);
      return (data, shape) => encodeIsthmusFast(data, shape, plan) ?? encodeIsthmus(data, shape, plan);
    }
    default:
      throw new IsthmusError(
        'CODEC_INVALID',
        `There is no codec family '${(params as { family?: string } | undefined)?.family}'. Use raw, slicer, rans or isthmus.`,
      );
  }
}

const tooLarge = (count: number, limit: string) =>
  new IsthmusError(
    'TOO_LARGE',
    `A tensor of ${count} elements is above the limit of ${limit}. Cut the model elsewhere.`,
  );
