// Tensor: a typed array with a shape. Shared leaf: every folder may import it. No arithmetic lives here.
import { IsthmusError } from './errors.ts';

/** Element types that may cross a cut, by their ONNX names. float16 travels as raw 16-bit patterns. */
export const DTYPES = ['float32', 'float16', 'int32', 'int64', 'uint8', 'int8', 'bool', 'float64'] as const;
export type DType = (typeof DTYPES)[number];

export type TensorData =
  | Float32Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Int8Array
  | Float64Array;

/** `data.length` equals the product of `shape`; layout is row-major, as in ONNX. */
export interface Tensor {
  dtype: DType;
  shape: readonly number[];
  data: TensorData;
}

/** Named tensors, in no particular order. */
export type Tensors = Record<string, Tensor>;

const ARRAYS = {
  float32: Float32Array,
  float16: Uint16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
  float64: Float64Array,
} as const;

/** Bytes of one element. */
export function bytesPerElement(dtype: DType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Name of the array type that holds `dtype` here; undefined for what is no element type. */
export function arrayName(dtype: DType): string | undefined {
  return Object.hasOwn(ARRAYS, dtype) ? ARRAYS[dtype].name : undefined;
}

/** Whether `data` is an array of the type that `dtype` has here, also one of another realm. */
export function holds(dtype: DType, data: TensorData): boolean {
  const name = arrayName(dtype);
  return name !== undefined && data[Symbol.toStringTag] === name;
}

/** Product of the dimensions, 1 for a scalar. Refuses negative, fractional and > 2^31-1 products. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dim of shape) {
    if (!Number.isInteger(dim) || dim < 0 || dim > 0x7fffffff) {
      throw new IsthmusError(
        'INPUT_INVALID',
        `A dimension of [${shape}] is not a whole number from 0 to 2^31-1.`,
      );
    }
    count *= dim;
    if (count > 0x7fffffff) {
      throw new IsthmusError('TOO_LARGE', `A tensor of shape [${shape}] has more than 2^31-1 elements.`);
    }
  }
  return count;
}

/** Views `bytes` (little-endian, element-aligned or copied when not) as the array type of `dtype`. */
export function viewBytes(dtype: DType, bytes: Uint8Array): TensorData {
  const Ctor = ARRAYS[dtype];
  const aligned = bytes.byteOffset % Ctor.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new Ctor(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    bytes.byteLength / Ctor.BYTES_PER_ELEMENT,
  );
}

/** The bytes behind a tensor, without copying. */
export function tensorBytes(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
