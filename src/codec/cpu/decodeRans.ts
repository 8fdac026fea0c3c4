// The fast decoder of family `rans`, for the tail: symbols by table of slots, then one pass over the rows. Accepts and
// refuses exactly what codec/reference does, and gives the same values.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { stepsOf, valuesOf } from '../reference/aiq.ts';
import type { CsrShape } from '../reference/csr.ts';
import { readConstant } from '../reference/decodeSlicer.ts';
import { readRansParams, symbolCount } from '../reference/ransLayout.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { decodeStream, slotsOfTable } from './ransLanes.ts';

/**
 * @param total product of the shape, checked against the limits by the caller
 * @throws IsthmusError FRAME_INVALID
 */
export function decodeRans({ flags, params, payload }: EncodedTensor, total: number): Float32Array {
  if (flags & ~(TENSOR_FLAGS.CONST | TENSOR_FLAGS.SANITISED))
    throw damaged('it has a flag of another family');
  if (flags & TENSOR_FLAGS.CONST) {
    const value = readConstant(params, payload, false);
    const output = new Float32Array(total);
    return Object.is(value, 0) ? output : output.fill(value);
  }
  const { quantiser, csr, lanes, table } = readRansParams(params, total);
  const symbols = new Uint8Array(symbolCount(csr));
  decodeStream(payload, lanes, slotsOfTable(table), symbols);
  const { zero } = stepsOf(quantiser);
  return place(symbols, csr, valuesOf(quantiser), zero);
}

/** From D to elements; every symbol of D is checked on the way. */
function place(
  symbols: Uint8Array,
  { columns, rows, present }: CsrShape,
  values: Float32Array,
  zero: number,
): Float32Array {
  const output = new Float32Array(rows * columns);
  const firstRow = 2 * present;
  let taken = 0;
  for (let row = 0; row < rows; row++) {
    const count = symbols[firstRow + row]!;
    if (count > columns || count > present - taken) throw damaged('a row has too many elements');
    const start = row * columns;
    let last = -1;
    for (const end = taken + count; taken < end; taken++) {
      const code = symbols[taken]!;
      const column = symbols[present + taken]!;
      if (code === zero || code >= values.length) throw damaged('a code is out of range');
      if (column <= last || column >= columns) throw damaged('its columns do not rise or are out of range');
      output[start + column] = values[code]!;
      last = column;
    }
  }
  if (taken !== present) throw damaged('its rows do not have all elements');
  return output;
}
