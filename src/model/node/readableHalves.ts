// A workaround for onnxruntime-node 1.30: where JavaScript has Float16Array it wraps float16 data in one, and then cannot
// read it back ("not enough space"). Shared by everything that feeds tensors to it; drop it when it is repaired there.
import { Tensor as OrtTensor } from 'onnxruntime-node';

/** The same tensor, its halves as bit patterns; of another type, or readable already, itself. Memory is shared. */
export function readableHalves(tensor: OrtTensor): OrtTensor {
  const { type, data, dims } = tensor;
  if (type !== 'float16' || data instanceof Uint16Array) return tensor;
  const { buffer, byteOffset, length } = data as unknown as Uint16Array;
  const patterns = new OrtTensor('uint16', new Uint16Array(buffer, byteOffset, length), dims);
  return Object.defineProperty(patterns, 'type', { value: type }) as OrtTensor;
}
