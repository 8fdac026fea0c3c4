// Encoded tensor in, tensor out, on the CPU of the tail: checks what is declared before anything is allocated, then
// picks the family. Pictures are not decoded here; the tail has its own way for them.
import { IsthmusError } from '../../errors.ts';
import { bytesPerElement, type Tensor } from '../../tensor.ts';
import { type EncodedTensor, LIMITS } from '../params.ts';
import { decodeRaw } from '../reference/raw.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { decodeSlicer } from './decodeSlicer.ts';

export interface DecodeLimits {
  /** Largest decoded tensor in bytes; default 64 MiB. */
  outputBytes?: number;
}

/**
 * @returns the tensor; raw data shares memory with the payload where its address allows
 * @throws IsthmusError FRAME_INVALID (breaks FORMAT.md), TOO_LARGE (above the limit), CODEC_INVALID (a family that is
 *   not decoded here)
 */
export function decodeTensor(encoded: EncodedTensor, limits: DecodeLimits = {}): Tensor {
  const { family, dtype, shape } = encoded;
  const count = declaredElements(encoded, limits.outputBytes ?? LIMITS.outputBytes);
  switch (family) {
    case 'raw':
      return decodeRaw(encoded);
    case 'slicer':
      if (dtype !== 'float32') throw damaged(`slicer carries float32, not ${dtype}`);
      if (count > 2 ** 24) throw damaged(`slicer carries at most 2^24 elements, not ${count}`);
      return { dtype, shape, data: decodeSlicer(encoded, count) };
    default:
      throw new IsthmusError(
        'CODEC_INVALID',
        `The codec family '${family}' is not decoded to a tensor here. Send the feature as raw or slicer.`,
      );
  }
}

function declaredElements({ dtype, shape }: EncodedTensor, outputBytes: number): number {
  if (shape.length > LIMITS.rank) throw damaged(`it has ${shape.length} dimensions`);
  let count = 1;
  for (const dim of shape) {
    if (!Number.isInteger(dim) || dim < 0 || dim > LIMITS.dimension) throw damaged(`its shape is [${shape}]`);
    count *= dim; // at most 2^(31·8), which a double holds
  }
  if (count * bytesPerElement(dtype) <= outputBytes) return count;
  throw new IsthmusError(
    'TOO_LARGE',
    `A tensor of shape [${shape}] is above the limit of ${outputBytes} bytes. Send less or raise the limit.`,
  );
}
