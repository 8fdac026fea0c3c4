// The CPU rows of the codec benchmark: one thread of this Node process, TypeScript and WASM beside copying the tensor and
// beside what a simple split would do.

import { slotsOfTable, decodeStream as streamTypeScript } from '../src/codec/cpu/ransLanes.ts';
import type { EncodedTensor } from '../src/codec/params.ts';
import type { CodecProfile } from '../src/codec/profile.ts';
import { readRansParams, symbolCount } from '../src/codec/reference/ransLayout.ts';
import { withArena } from '../src/codec/wasm/arena.ts';
import { decodeStream as streamWasm } from '../src/codec/wasm/ransStream.ts';
import { crc32 } from '../src/wire/crc32.ts';
import { type CodecCase, cpuCoder } from './codecCoders.ts';
import { symbolEntropy } from './codecEntropy.ts';
import { type Budget, medianTimes } from './codecTiming.ts';
import { deflateInt8, gzipFp16 } from './codecYardsticks.ts';
import type { Row } from './report.ts';

export interface Feature {
  name: string;
  shape: readonly number[];
  data: Float32Array;
  profile?: CodecProfile;
  /** The profile as both ends have it on disk. */
  profileFile?: Uint8Array<ArrayBuffer>;
}

/** What both ends of the comparison with the GPU share. */
export interface CpuResult {
  row: Row;
  /** CRC-32 of params and payload. */
  checksum: number;
}

/** What a simple split would send, and what that takes; the same for every codec. */
export interface Yardsticks {
  gzipBytes: number;
  gzipMs: number;
  int8Bytes: number;
  int8Ms: number;
}

export async function measureYardsticks({ data }: Feature, budget: Budget): Promise<Yardsticks> {
  const times = await medianTimes({ gzip: () => gzipFp16(data), int8: () => deflateInt8(data) }, budget);
  return {
    gzipBytes: gzipFp16(data).bytes,
    gzipMs: times.gzip!,
    int8Bytes: deflateInt8(data).bytes,
    int8Ms: times.int8!,
  };
}

/** One thread: what it costs to encode and decode a feature with one codec. */
export async function measureCpu(
  { name, shape, data, profile }: Feature,
  { name: codec, params }: CodecCase,
  { gzipBytes, gzipMs, int8Bytes, int8Ms }: Yardsticks,
  budget: Budget,
): Promise<CpuResult> {
  const typescript = cpuCoder('TypeScript', params)!;
  const wasm = cpuCoder('WASM', params);
  const encoded = typescript.encode(data, shape)!;
  const runsOnWasm = wasm?.encode(data, shape) !== undefined;
  const decodesOnWasm = wasm?.decode(encoded, data.length) !== undefined;
  const entropy = symbolEntropy(encoded, data.length, profile);
  const times = await medianTimes(
    {
      copy: () => data.slice(),
      encodeTs: () => typescript.encode(data, shape),
      decodeTs: () => typescript.decode(encoded, data.length),
      ...(runsOnWasm && { encodeWasm: () => wasm!.encode(data, shape) }),
      ...(decodesOnWasm && { decodeWasm: () => wasm!.decode(encoded, data.length) }),
      ...coderRuns(encoded, data.length),
    },
    budget,
  );
  const bytes = encoded.params.length + encoded.payload.length;
  const fastest = Math.min(times.encodeTs!, times.encodeWasm ?? Number.POSITIVE_INFINITY);
  const rate = (ms: number | undefined) => (entropy && ms ? round(entropy.symbols / ms / 1000) : null);
  const row: Row = {
    adapter: 'CPU',
    feature: name,
    elements: data.length,
    codec,
    'copy ms': ms(times.copy),
    'encode TS': ms(times.encodeTs),
    'encode WASM': ms(times.encodeWasm),
    'encode/copy': round(fastest / times.copy!),
    'decode TS': ms(times.decodeTs),
    'decode WASM': ms(times.decodeWasm),
    'decode TS Msym/s': rate(times.decodeTs),
    'decode WASM Msym/s': rate(times.decodeWasm),
    'coder TS Msym/s': rate(times.coderTs),
    'coder WASM Msym/s': rate(times.coderWasm),
    bytes,
    'bit/element': round((8 * bytes) / data.length),
    symbols: entropy?.symbols ?? null,
    'entropy bytes': entropy ? Math.round(entropy.bytes) : null,
    'stream/entropy': entropy ? round(encoded.payload.length / entropy.bytes, 4) : null,
    'frame/entropy': entropy ? round(bytes / entropy.bytes, 4) : null,
    'gzip fp16': gzipBytes,
    'gzip ms': ms(gzipMs),
    'int8+deflate': int8Bytes,
    'int8 ms': ms(int8Ms),
    'gzip bytes/ours': round(gzipBytes / bytes),
    'gzip time/ours': round(gzipMs / fastest),
  };
  return { row, checksum: checksumOf(encoded) };
}

/** The entropy decoder of family rans alone, without what follows it. */
function coderRuns(encoded: EncodedTensor, count: number): Record<string, () => unknown> {
  if (encoded.family !== 'rans' || encoded.payload.length === 0) return {};
  const { csr, lanes, table } = readRansParams(encoded.params, count);
  const n = symbolCount(csr);
  const symbols = new Uint8Array(n);
  const slots = slotsOfTable(table);
  const wasm = () =>
    withArena((arena) => streamWasm(arena, encoded.payload, lanes, table, arena.take(n + 16), n));
  return {
    coderTs: () => streamTypeScript(encoded.payload, lanes, slots, symbols),
    ...(wasm() && { coderWasm: wasm }),
  };
}

export const checksumOf = ({ params, payload }: Pick<EncodedTensor, 'params' | 'payload'>) =>
  crc32(payload, crc32(params));

const round = (x: number, digits = 3) => Number(x.toFixed(digits));
const ms = (x: number | undefined) => (x === undefined ? null : round(x, 4));
