// The codecs that the codec benchmark measures, and who encodes and decodes them on the CPU: TypeScript and WASM side by
// side. A pair that does not exist is left out, not imitated.
import { decodeIsthmus } from '../src/codec/cpu/decodeIsthmus.ts';
import { decodeRans } from '../src/codec/cpu/decodeRans.ts';
import { decodeSlicer } from '../src/codec/cpu/decodeSlicer.ts';
import { encodeIsthmus } from '../src/codec/cpu/encodeIsthmus.ts';
import { encodeRans } from '../src/codec/cpu/encodeRans.ts';
import { encodeSlicer } from '../src/codec/cpu/encodeSlicer.ts';
import { planIsthmus } from '../src/codec/isthmusPlan.ts';
import { type CodecParams, type EncodedTensor, PRESETS, planRans, planSlicer } from '../src/codec/params.ts';
import type { CodecProfile } from '../src/codec/profile.ts';
import { decodeRaw, encodeRaw } from '../src/codec/reference/raw.ts';
import { decodeIsthmus as wasmDecodeIsthmus } from '../src/codec/wasm/decodeIsthmus.ts';
import { decodeRans as wasmDecodeRans } from '../src/codec/wasm/decodeRans.ts';
import { decodeSlicer as wasmDecodeSlicer } from '../src/codec/wasm/decodeSlicer.ts';
import { encodeIsthmus as wasmEncodeIsthmus } from '../src/codec/wasm/encodeIsthmus.ts';
import { encodeRans as wasmEncodeRans } from '../src/codec/wasm/encodeRans.ts';
import { encodeSlicer as wasmEncodeSlicer } from '../src/codec/wasm/encodeSlicer.ts';

export interface CodecCase {
  name: string;
  params: CodecParams;
}

/** @param profile of this very feature's cut, if it has one */
export function codecCases(profile: CodecProfile | undefined): CodecCase[] {
  const { raw, slicer, rans, isthmus } = PRESETS;
  return [
    { name: 'raw', params: raw },
    { name: 'slicer', params: slicer },
    { name: 'rans', params: rans },
    { name: 'isthmus', params: isthmus },
    { name: 'isthmus none', params: { ...isthmus, transform: 'none' } },
    { name: 'isthmus sent', params: { ...isthmus, tables: 'sent' } },
    ...(profile ? [{ name: 'isthmus profile', params: { ...isthmus, profile } }] : []),
  ];
}

export interface CpuCoder {
  encode(data: Float32Array, shape: readonly number[]): EncodedTensor | undefined;
  decode(encoded: EncodedTensor, count: number): unknown;
}

/** What `engine` offers for a codec; undefined where it leaves it to TypeScript. */
export function cpuCoder(engine: 'TypeScript' | 'WASM', params: CodecParams): CpuCoder | undefined {
  const typescript = engine === 'TypeScript';
  switch (params.family) {
    case 'raw': {
      const dtype = 'float32';
      return typescript
        ? { encode: (data, shape) => encodeRaw({ dtype, shape, data }), decode: decodeRaw }
        : undefined;
    }
    case 'slicer': {
      const plan = planSlicer(params);
      return typescript
        ? { encode: (data, shape) => encodeSlicer(data, shape, plan), decode: decodeSlicer }
        : { encode: (data, shape) => wasmEncodeSlicer(data, shape, plan), decode: wasmDecodeSlicer };
    }
    case 'rans': {
      const plan = planRans(params);
      return typescript
        ? { encode: (data, shape) => encodeRans(data, shape, plan), decode: decodeRans }
        : { encode: (data, shape) => wasmEncodeRans(data, shape, plan), decode: wasmDecodeRans };
    }
    case 'isthmus': {
      const plan = planIsthmus(params);
      const profiles = () => params.profile;
      return typescript
        ? {
            encode: (data, shape) => encodeIsthmus(data, shape, plan),
            decode: (encoded, count) => decodeIsthmus(encoded, count, profiles),
          }
        : {
            encode: (data, shape) => wasmEncodeIsthmus(data, shape, plan),
            decode: (encoded, count) => wasmDecodeIsthmus(encoded, count, profiles),
          };
    }
  }
}
