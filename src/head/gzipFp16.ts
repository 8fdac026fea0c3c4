// The yardstick: what a feature weighs as float16 under gzip, which is what a simple split would send. It runs on
// demand, never on the way of a real frame.
import { type Tensor, tensorBytes } from '../tensor.ts';

/** Bytes of all tensors as float16 (other element types as they are) under one gzip stream. */
export async function gzipFp16Bytes(tensors: Tensor[]): Promise<number> {
  const parts = tensors.map((t) => (t.dtype === 'float32' ? toHalf(t.data as Float32Array) : tensorBytes(t)));
  const reader = new Blob(parts as Uint8Array<ArrayBuffer>[])
    .stream()
    .pipeThrough(new CompressionStream('gzip'))
    .getReader(); // not every browser iterates over streams
  for (let bytes = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return bytes;
    bytes += value.byteLength;
  }
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** IEEE binary16, rounded to nearest even, on bit patterns: Float16Array is not everywhere yet. */
export function toHalf(values: Float32Array): Uint8Array {
  const half = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    float[0] = values[i]!;
    const x = bits[0]!;
    const sign = (x >>> 16) & 0x8000;
    const magnitude = x & 0x7fffffff;
    if (magnitude >= 0x7f800000) {
      half[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    } else if (magnitude >= 0x477ff000) {
      half[i] = sign | 0x7c00; // rounds to infinity
    } else if (magnitude >= 0x38800000) {
      const rebased = magnitude - 0x38000000; // exponent 127 becomes 15
      half[i] = sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
    } else {
      // Denormal halves: adding 0.5 makes the float adder round to multiples of 2^-24.
      float[0] = Math.abs(values[i]!) + 0.5;
      half[i] = sign | (bits[0]! - 0x3f000000);
    }
  }
  return new Uint8Array(half.buffer);
}
