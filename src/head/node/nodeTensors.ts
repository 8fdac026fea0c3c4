// Tensors of Isthmus as onnxruntime-node's and back, sharing memory: float16 is bits here and Float16Array there. Nothing else.
import type { DType, Tensor, TensorData } from '../../tensor.ts';

export type Ort = typeof import('onnxruntime-node');
export type OrtTensor = import('onnxruntime-node').Tensor;

/** Where the platform has Float16Array, onnxruntime-node 1.30 wraps halves in it and then cannot read them itself. */
export function toOrt(ort: Ort, { dtype, data, shape }: Tensor): OrtTensor {
  if (dtype !== 'float16') return new ort.Tensor(dtype, data as Float32Array, shape as number[]);
  const patterns = new ort.Tensor('uint16', data as Uint16Array, shape as number[]);
  return Object.defineProperty(patterns, 'type', { value: dtype }) as unknown as OrtTensor;
}

/** float16 arrives as Float16Array where the engine has one; inside Isthmus it is bits. */
export function fromOrt(t: OrtTensor): Tensor {
  const data = t.data as TensorData;
  const bits = t.type === 'float16' && !(data instanceof Uint16Array);
  return {
    dtype: t.type as DType,
    shape: t.dims,
    data: bits ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data,
  };
}
