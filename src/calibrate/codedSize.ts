// Features through the real codec, as a frame would carry them: bytes on the wire, and what arrives.
import { decodeTensor } from '../codec/cpu/decode.ts';
import { encodeTensor } from '../codec/cpu/encode.ts';
import type { CodecParams, EncodedTensor } from '../codec/params.ts';
import type { CodecProfile } from '../codec/profile.ts';

/** Bytes of a request frame without meta (FORMAT.md, "Frame"). */
export function frameBytes(tensors: readonly EncodedTensor[]): number {
  const padded = (n: number) => 4 * Math.ceil(n / 4);
  return tensors.reduce(
    (sum, t) => sum + 12 + 4 * t.shape.length + padded(t.params.length) + padded(t.payload.length),
    32,
  );
}

export interface Coded {
  encoded: EncodedTensor;
  decoded: Float32Array;
}

/** There and back. @param profile the one that `params` name, if any */
export function roundTrip(
  data: Float32Array,
  shape: readonly number[],
  params: CodecParams,
  profile?: CodecProfile,
): Coded {
  const encoded = encodeTensor({ dtype: 'float32', shape, data }, params);
  const { data: decoded } = decodeTensor(encoded, {
    profiles: (name) => (name === profile?.name ? profile : undefined),
  });
  return { encoded, decoded: decoded as Float32Array };
}
