// Quantisation and modified CSR of the fast `rans` encoder: the present elements in one pass, and from them, for any
// width of the matrix, the histogram of D or its steps. Codes, columns and counts equal those of codec/reference.
import { distanceOf, type Steps } from '../reference/aiq.ts';
import type { CsrShape } from '../reference/csr.ts';
import { fixedPoint } from '../reference/float.ts';

const MAGNITUDE = 0x7fffffff;

/** The elements whose code is not the background. */
export interface Present {
  count: number;
  /** Indices, rising; only the first `count` are used. */
  index: Uint32Array;
  code: Uint8Array;
  /** How often each code occurs, 2^Q entries. */
  values: Uint32Array;
}

/** Quantises finite elements with the given shared exponent (FORMAT.md, "AIQ"). */
export function presentElements(bits: Uint32Array, exponent: number, { top, range, zero }: Steps): Present {
  const index = new Uint32Array(bits.length);
  const code = new Uint8Array(bits.length);
  const values = new Uint32Array(top + 1);
  const half = Math.floor(range / 2);
  // A little above 1/range: the product's floor is the quotient, because a dividend below 2^32 that does not divide
  // leaves at least 2^-25 to the next whole number.
  const inverse = (1 + 2 ** -50) / range;
  const least = leastPresent(exponent, { top, range, zero });
  let count = 0;
  for (let i = 0; i < bits.length; i++) {
    const pattern = bits[i]!;
    const magnitude = pattern & MAGNITUDE;
    if (magnitude < least) continue;
    const e = magnitude >>> 23;
    const isNormal = (e + 255) >> 8;
    const mantissa = (magnitude & 0x7fffff) | (isNormal << 23);
    const shift = exponent - e - 1 + isNormal; // below 32: anything smaller was left out
    const units = (((mantissa << 1) >> shift) + 1) >> 1;
    const distance = ((units * top + half) * inverse) | 0;
    const q = pattern >>> 31 ? Math.max(0, zero - distance) : Math.min(top, zero + distance);
    index[count] = i;
    code[count] = q;
    count += q === zero ? 0 : 1; // a code that was clipped to that of zero
  }
  for (let k = 0; k < count; k++) values[code[k]!]!++;
  return { count, index, code, values };
}

/** The smallest magnitude pattern that is at least one step away from zero; the distance never falls as it grows. */
function leastPresent(exponent: number, steps: Steps): number {
  let least = 0;
  for (let bit = 2 ** 30; bit >= 1; bit /= 2) {
    const below = least + bit - 1;
    if (below >>> 23 <= exponent && distanceOf(fixedPoint(below, exponent), steps) === 0) least += bit;
  }
  return least;
}

/** Histogram of D for `columns` columns. */
export function countCsr(
  { count, index, values }: Present,
  total: number,
  columns: number,
  alphabet: number,
) {
  const counts = new Uint32Array(alphabet);
  counts.set(values);
  let start = 0;
  let inRow = 0;
  for (let k = 0; k < count; k++) {
    const i = index[k]!;
    while (i - start >= columns) {
      counts[inRow]!++;
      inRow = 0;
      start += columns;
    }
    counts[i - start]!++;
    inRow++;
  }
  counts[inRow]!++;
  counts[0]! += total / columns - start / columns - 1; // rows after the last present element
  return counts;
}

/** D as packed steps of the coder; `step` holds one per symbol. */
export function stepsOfCsr(
  { count, index, code }: Present,
  { columns, rows }: CsrShape,
  step: Uint32Array,
): Uint32Array {
  const steps = new Uint32Array(2 * count + rows);
  let row = 2 * count;
  let start = 0;
  let inRow = 0;
  for (let k = 0; k < count; k++) {
    const i = index[k]!;
    while (i - start >= columns) {
      steps[row++] = step[inRow]!;
      inRow = 0;
      start += columns;
    }
    steps[k] = step[code[k]!]!;
    steps[count + k] = step[i - start]!;
    inRow++;
  }
  steps[row++] = step[inRow]!;
  steps.fill(step[0]!, row);
  return steps;
}
