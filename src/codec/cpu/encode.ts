// Tensor in, encoded tensor out, on the CPU: checks the input and picks the codec family. Frames are made in wire/.
import { IsthmusError } from '../../errors.ts';
import { bytesPerElement, elementCount, type Tensor } from '../../tensor.ts';
import { type CodecParams, type EncodedTensor, LIMITS, planSlicer } from '../params.ts';
import { encodeRaw } from '../reference/raw.ts';
import { encodeSlicer } from './encodeSlicer.ts';

/**
 * Tensors of other element types than float32 always travel raw.
 *
 * @throws IsthmusError INPUT_INVALID (data and shape disagree, more than 8 dimensions), TOO_LARGE (above 64 MiB),
 *   CODEC_INVALID (parameters), FEATURE_NOT_FINITE (under `strict`)
 */
export function encodeTensor(tensor: Tensor, params: CodecParams): EncodedTensor {
  const { dtype, shape, data } = tensor;
  const count = elementCount(shape);
  if (data.length !== count || shape.length > LIMITS.rank) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `A tensor of shape [${shape}] needs ${count} elements and at most ${LIMITS.rank} dimensions; it has ${data.length}. Correct shape or data.`,
    );
  }
  if (count * bytesPerElement(dtype) > LIMITS.outputBytes) {
    throw new IsthmusError(
      'TOO_LARGE',
      `A tensor of ${count} elements is above the limit of ${LIMITS.outputBytes} bytes. Cut the model elsewhere.`,
    );
  }
  switch (params?.family) {
    case 'raw':
      return encodeRaw(tensor);
    case 'slicer': {
      const plan = planSlicer(params);
      return data instanceof Float32Array ? encodeSlicer(data, shape, plan) : encodeRaw(tensor);
    }
    default:
      throw new IsthmusError(
        'CODEC_INVALID',
        `There is no codec family '${(params as { family?: string } | undefined)?.family}'. Use raw or slicer.`,
      );
  }
}
