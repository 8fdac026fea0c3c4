// The smallest sound tensors that declare the most: constants, one survivor in all, one symbol for everything. They are what
// an enemy sends for memory and time, and no encoder's mistake. Only tests import it.
import type { EncodedTensor } from './params.ts';
import { plainSetup, writeIsthmusParams } from './reference/isthmusSetup.ts';
import { writeRansParams } from './reference/ransLayout.ts';
import { writeParams } from './reference/slicerLayout.ts';

/** One lane that has nothing to say: a state of 2^16. */
const SILENT = Uint8Array.of(0, 0, 1, 0);

/** A table that gives all of 4096 to one symbol costs no bits. */
function onlySymbol(symbol: number, alphabet: number): Uint16Array {
  const table = new Uint16Array(alphabet);
  table[symbol] = 4096;
  return table;
}

/** @param count elements, an even number */
export function extremes(count: number): Record<string, EncodedTensor> {
  const common = { dtype: 'float32', shape: [count], flags: 0 } as const;
  const tables = new Uint16Array(15 * 27);
  for (let k = 0; k < 15; k++) tables[27 * k] = 4096;
  const square = [Math.max(1, count / 2 ** 12), 64, Math.min(64, count / 64)];
  const isthmus = (block: [number, number]) => ({
    ...common,
    shape: square,
    family: 'isthmus' as const,
    params: writeIsthmusParams(
      { lanes: 1, shift: 0, step: 65536, nonnegative: false, sent: tables },
      plainSetup(square, 128, block, [0, 0], tables),
    ),
    payload: SILENT,
  });
  return {
    'a constant': {
      ...common,
      family: 'slicer',
      flags: 1,
      params: Uint8Array.of(0, 0, 0x80, 0x3f),
      payload: new Uint8Array(0),
    },
    'slicer, all survive with one value': {
      ...common,
      family: 'slicer',
      params: writeParams({ survivors: count, exponent: 127, blocks: [{ lo: 5, hi: 5, width: 0 }] }, 2),
      payload: new Uint8Array(0),
    },
    'slicer, none survives': {
      ...common,
      family: 'slicer',
      params: writeParams({ survivors: 0, exponent: 127, blocks: [{ lo: 0, hi: 0, width: 0 }] }, 1),
      payload: new Uint8Array(0),
    },
    // Every code, column and row count is 1: half of the elements are present.
    'rans, one symbol': {
      ...common,
      family: 'rans',
      params: writeRansParams({
        quantiser: { bits: 2, exponent: 127, below: 0, above: 3 },
        csr: { columns: 2, rows: count / 2, present: count / 2 },
        lanes: 1,
        table: onlySymbol(1, 4),
      }),
      payload: SILENT,
    },
    // No element is present: every row count is 0.
    'rans, empty rows of one column': {
      ...common,
      family: 'rans',
      params: writeRansParams({
        quantiser: { bits: 2, exponent: 127, below: 0, above: 3 },
        csr: { columns: 1, rows: count, present: 0 },
        lanes: 1,
        table: onlySymbol(0, 4),
      }),
      payload: SILENT,
    },
    // More is promised than comes; only the last row tells.
    'rans, all present, and wrong': {
      ...common,
      family: 'rans',
      params: writeRansParams({
        quantiser: { bits: 2, exponent: 127, below: 0, above: 3 },
        csr: { columns: 1, rows: count, present: count },
        lanes: 1,
        table: onlySymbol(1, 4),
      }),
      payload: SILENT,
    },
    'isthmus, zeros': isthmus([16, 16]),
    'isthmus, zeros without transform': isthmus([1, 1]),
  };
}
