// The decoder of family `rans` as FORMAT.md tells it, symbol by symbol, with every refusal of that page. The truth for
// decoders; the tail uses the fast one in codec/cpu.
import { elementCount } from '../../tensor.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { stepsOf, valuesOf } from './aiq.ts';
import { fromCsr } from './csr.ts';
import { readConstant } from './decodeSlicer.ts';
import { LaneDecoder, readStream } from './rans.ts';
import { readRansParams, symbolCount } from './ransLayout.ts';
import { cumulative } from './ransTable.ts';
import { damaged } from './slicerLayout.ts';

/**
 * @returns the elements, row-major; those with the code of zero are +0
 * @throws IsthmusError FRAME_INVALID for a tensor that no encoder makes
 */
export function decodeRans({ shape, flags, params, payload }: EncodedTensor): Float32Array {
  const total = elementCount(shape);
  if (flags & ~(TENSOR_FLAGS.CONST | TENSOR_FLAGS.SANITISED))
    throw damaged('it has a flag of another family');
  if (flags & TENSOR_FLAGS.CONST) return new Float32Array(total).fill(readConstant(params, payload, false));

  const { quantiser, csr, lanes, table } = readRansParams(params, total);
  const sums = cumulative(table);
  const decoders = readStream(payload, lanes).map((lane) => new LaneDecoder(lane));
  const symbols = Array.from({ length: symbolCount(csr) }, (_, i) => {
    const lane = decoders[i % lanes]!;
    const slot = lane.slot();
    const symbol = table.findIndex((f, s) => sums[s]! <= slot && slot < sums[s]! + f);
    lane.advance(table[symbol]!, sums[symbol]!);
    return symbol;
  });
  for (const lane of decoders) lane.finish();

  const { zero, top } = stepsOf(quantiser);
  const values = valuesOf(quantiser);
  return Float32Array.from(fromCsr(symbols, csr, zero, top), (code) => values[code]!);
}
