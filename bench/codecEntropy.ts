// What the bytes of a frame are held against: the static order-0 entropy of its symbols, which no coder without contexts
// can beat.

import { decodeSymbols } from '../src/codec/cpu/isthmusDecoder.ts';
import { decodeStream, slotsOfTable } from '../src/codec/cpu/ransLanes.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../src/codec/params.ts';
import type { CodecProfile } from '../src/codec/profile.ts';
import { readIsthmusParams } from '../src/codec/reference/isthmusSetup.ts';
import { readRansParams, symbolCount } from '../src/codec/reference/ransLayout.ts';

export interface SymbolEntropy {
  symbols: number;
  /** Order-0 entropy of all of them, in bytes. */
  bytes: number;
}

/** Of the symbols that the entropy coder codes; undefined for families without one. */
export function symbolEntropy(
  encoded: EncodedTensor,
  count: number,
  profile: CodecProfile | undefined,
): SymbolEntropy | undefined {
  const { family, flags, params, payload, shape } = encoded;
  if (flags & TENSOR_FLAGS.CONST) return undefined;
  if (family === 'rans') {
    const { csr, lanes, table } = readRansParams(params, count);
    const symbols = new Uint8Array(symbolCount(csr));
    decodeStream(payload, lanes, slotsOfTable(table), symbols);
    return entropyOf(symbols);
  }
  if (family === 'isthmus') {
    const { header, setup } = readIsthmusParams(params, shape, () => profile);
    const q = new Int32Array(setup.codedPlanes * setup.view.rows * setup.view.columns);
    decodeSymbols(payload, header, setup, (flags & TENSOR_FLAGS.SIGNED) !== 0, q);
    return entropyOf(q);
  }
  return undefined;
}

function entropyOf(symbols: Uint8Array | Int32Array): SymbolEntropy {
  const counts = new Map<number, number>();
  for (const s of symbols) counts.set(s, (counts.get(s) ?? 0) + 1);
  let bits = 0;
  for (const n of counts.values()) bits += n * Math.log2(symbols.length / n);
  return { symbols: symbols.length, bytes: bits / 8 };
}
