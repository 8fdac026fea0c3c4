// What a feature weighs without this codec: float16 under gzip, as a simple split would send it, and 8-bit affine codes
// under deflate, as an inference server's int8 would travel. Shared by the codec's benchmarks.
import { deflateSync, gzipSync } from 'node:zlib';
import { toFloat16, toFloat32 } from '../src/codec/reference/float16.ts';

export interface Yardstick {
  bytes: number;
  /** What the other end would compute with. */
  decode(): Float32Array;
}

/** gzip at its default level, 6. */
export function gzipFp16(feature: Float32Array): Yardstick {
  const half = toFloat16(feature);
  return { bytes: gzipSync(new Uint8Array(half.buffer)).length, decode: () => toFloat32(half) };
}

/** One scale and zero point per tensor, which count 8 bytes. */
export function deflateInt8(feature: Float32Array): Yardstick {
  let low = 0;
  let high = 0;
  for (const x of feature) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  const scale = (high - low) / 255 || 1;
  const zero = Math.round(-low / scale);
  const codes = Uint8Array.from(feature, (x) => Math.max(0, Math.min(255, Math.round(x / scale) + zero)));
  return {
    bytes: deflateSync(codes).length + 8,
    decode: () => Float32Array.from(codes, (q) => (q - zero) * scale),
  };
}
