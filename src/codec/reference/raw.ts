// Family raw: the elements as they are. Lossless, any element type, the yardstick for everything else.
import { bytesPerElement, elementCount, type Tensor, tensorBytes, viewBytes } from '../../tensor.ts';
import type { EncodedTensor } from '../params.ts';
import { damaged } from './slicerLayout.ts';

/** The payload shares memory with the tensor. */
export function encodeRaw(tensor: Tensor): EncodedTensor {
  const { dtype, shape } = tensor;
  return { family: 'raw', dtype, shape, flags: 0, params: new Uint8Array(0), payload: tensorBytes(tensor) };
}

/**
 * The data shares memory with the payload where its address allows.
 * @throws IsthmusError FRAME_INVALID when the payload does not fit the shape, or a bool is neither 0 nor 1
 */
export function decodeRaw({ dtype, shape, flags, params, payload }: EncodedTensor): Tensor {
  if (flags !== 0 || params.length !== 0) throw damaged('raw elements have no flags and no params');
  if (payload.length !== elementCount(shape) * bytesPerElement(dtype))
    throw damaged(`${payload.length} bytes do not fill ${dtype} [${shape}]`);
  // To native code a bool of another value is undefined behaviour, so a stranger must not bring one in.
  if (dtype === 'bool' && payload.some((byte) => byte > 1)) throw damaged('a bool is neither 0 nor 1');
  return { dtype, shape, data: viewBytes(dtype, payload) };
}
