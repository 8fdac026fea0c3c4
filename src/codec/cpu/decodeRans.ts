// The fast decoder of family `rans`, for the tail: symbols by table of slots, a pass over the rows, a pass over the elements. Accepts and
// refuses exactly what codec/reference does, and gives the same values.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { stepsOf, valuesOf } from '../reference/aiq.ts';
import type { CsrShape } from '../reference/csr.ts';
import { readConstant } from '../reference/decodeSlicer.ts';
import { readRansParams, symbolCount } from '../reference/ransLayout.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { decodeStream, slotsOfTable } from './ransLanes.ts';

/** Kept from call to call: a frame may have 64 tensors. */
const slots = new Uint32Array(4096);

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
  const { zero } = stepsOf(quantiser);
  const values = valuesOf(quantiser);
  // All in the memory of the result, which a stranger's hundred bytes may make large: D in its first three quarters, where it
  // always has room, the codes in the last one, and then each code becomes a number before its place is written over.
  const output = new Float32Array(total);
  const symbols = new Uint8Array(output.buffer, 0, symbolCount(csr));
  const codes = new Uint8Array(output.buffer, 3 * total, total);
  decodeStream(payload, lanes, slotsOfTable(table, slots), symbols);
  place(symbols, csr, values.length, zero, codes);
  for (let i = 0; i < total; i++) output[i] = values[codes[i]!]!;
  return output;
}

/** From D to codes; every symbol of D is checked on the way. */
function place(
  symbols: Uint8Array,
  { columns, rows, present }: CsrShape,
  alphabet: number,
  zero: number,
  codes: Uint8Array,
): void {
  codes.fill(zero);
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
      if (code === zero || code >= alphabet) throw damaged('a code is out of range');
      if (column <= last || column >= columns) throw damaged('its columns do not rise or are out of range');
      codes[start + column] = code;
      last = column;
    }
  }
  if (taken !== present) throw damaged('its rows do not have all elements');
}
