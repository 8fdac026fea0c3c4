// The params of family `rans` as an object, checked, and the number of lanes. Shared by every encoder and decoder of the
// family; it reads no payload.
import type { Quantiser } from './aiq.ts';
import type { CsrShape } from './csr.ts';
import { readTable, writeTable } from './ransTable.ts';
import { damaged } from './slicerLayout.ts';

/** Bytes of params before the table. */
const FIXED_BYTES = 20;
/** K is at most this, so that a column and a row's count are symbols of one byte. */
export const MAX_COLUMNS = 255;
const MAX_LANES_LOG2 = 10;

export interface RansHeader {
  quantiser: Quantiser;
  csr: CsrShape;
  lanes: number;
  /** Frequencies, one per symbol of the alphabet. */
  table: Uint16Array;
}

/** A: codes, columns and row counts share one alphabet. */
export function alphabetOf(bits: number, columns: number): number {
  return Math.max(2 ** bits, columns + 1);
}

/** Symbols in D. */
export function symbolCount({ present, rows }: Pick<CsrShape, 'present' | 'rows'>): number {
  return 2 * present + rows;
}

/** Lanes when none are asked for: a lane costs 48 bits, so each gets thousands of symbols. */
export function defaultLanes(symbols: number): number {
  if (symbols < 8192) return 1;
  return Math.min(1024, 2 ** (31 - Math.clz32(symbols >>> 12)));
}

export function writeRansParams({ quantiser, csr, lanes, table }: RansHeader): Uint8Array {
  const sent = writeTable(table);
  const params = new Uint8Array(FIXED_BYTES + sent.length);
  const view = new DataView(params.buffer);
  params.set([quantiser.bits, Math.log2(lanes), quantiser.exponent, 0]);
  [csr.rows, csr.present, quantiser.below, quantiser.above].forEach((value, i) => {
    view.setUint32(4 + 4 * i, value, true);
  });
  params.set(sent, FIXED_BYTES);
  return params;
}

/**
 * Reads and checks params for a tensor of `total` elements.
 * @throws IsthmusError FRAME_INVALID
 */
export function readRansParams(params: Uint8Array, total: number): RansHeader {
  if (params.length <= FIXED_BYTES) throw damaged('its params are cut short');
  const [bits, lanesLog2, exponent, reserved] = params as unknown as [number, number, number, number];
  const view = new DataView(params.buffer, params.byteOffset, params.length);
  const [rows, present, below, above] = [4, 8, 12, 16].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ];
  if (bits < 2 || bits > 8) throw damaged(`its codes have ${bits} bits`);
  if (lanesLog2 > MAX_LANES_LOG2) throw damaged('it has more than 1024 lanes');
  if (exponent < 1 || exponent > 254) throw damaged(`exponent ${exponent} is out of range`);
  if (reserved !== 0) throw damaged('a reserved byte is set');
  if (below > 0xffffff || above > 0xffffff || below + above === 0) throw damaged('its range is impossible');
  const columns = total / rows;
  if (total === 0 || !Number.isInteger(columns) || columns > MAX_COLUMNS)
    throw damaged(`${total} elements do not make ${rows} rows`);
  if (present > total) throw damaged('it has more present elements than elements');
  return {
    quantiser: { bits, exponent, below, above },
    csr: { columns, rows, present },
    lanes: 2 ** lanesLog2,
    table: readTable(params.subarray(FIXED_BYTES), alphabetOf(bits, columns)),
  };
}
