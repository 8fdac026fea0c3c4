// The modified CSR of family `rans`: a matrix of codes as one sequence D of small numbers, and back. Values other than
// the background, their columns, and how many each row has. After arXiv 2511.11664; FORMAT.md, "CSR".
import { damaged } from './slicerLayout.ts';

/** D: codes of the present elements, their columns, then the count of each row. */
export function toCsr(codes: ArrayLike<number>, background: number, columns: number): number[] {
  const present = Array.from(codes, (_, i) => i).filter((i) => codes[i] !== background);
  const counts: number[] = Array(codes.length / columns).fill(0);
  for (const i of present) counts[Math.floor(i / columns)]!++;
  return [...present.map((i) => codes[i]!), ...present.map((i) => i % columns), ...counts];
}

/** How often each symbol of an alphabet of `alphabet` occurs. */
export function countSymbols(symbols: readonly number[], alphabet: number): Uint32Array {
  const counts = new Uint32Array(alphabet);
  for (const s of symbols) counts[s]!++;
  return counts;
}

export interface CsrShape {
  /** K */
  columns: number;
  /** N */
  rows: number;
  /** S */
  present: number;
}

/**
 * Codes of all elements.
 * @param top the largest code
 * @throws IsthmusError FRAME_INVALID for a D that `toCsr` does not make
 */
export function fromCsr(
  symbols: readonly number[],
  { columns, rows, present }: CsrShape,
  background: number,
  top: number,
): number[] {
  const values = symbols.slice(0, present);
  if (values.some((v) => v === background || v > top)) throw damaged('a code is out of range');
  const codes: number[] = Array(rows * columns).fill(background);
  let taken = 0;
  for (let row = 0; row < rows; row++) {
    const count = symbols[2 * present + row]!;
    if (count > columns || taken + count > present) throw damaged('a row has too many elements');
    let last = -1;
    for (let i = 0; i < count; i++, taken++) {
      const column = symbols[present + taken]!;
      if (column <= last || column >= columns) throw damaged('its columns do not rise or are out of range');
      codes[row * columns + column] = values[taken]!;
      last = column;
    }
  }
  if (taken !== present) throw damaged('its rows do not have all elements');
  return codes;
}
