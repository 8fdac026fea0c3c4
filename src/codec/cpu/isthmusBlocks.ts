// The block transform of family `isthmus`, fast: one-dimensional transforms of all rows and columns, in place, using that basis
// vectors are even or odd. Equals codec/reference/isthmusTransform.ts; every sum is exact, so its order is free.
import type { IsthmusSetup } from '../reference/isthmusSetup.ts';
import { dctMatrix } from '../reference/isthmusTransform.ts';

const LIMIT = 0x20000;

/** The even and the odd half of D for one block side, laid out for {@link products}. */
interface Basis {
  b: number;
  /** Rows of padding to whole fours: outputs of one input lie side by side. */
  padded: number;
  forwardEven: Int32Array;
  forwardOdd: Int32Array;
  inverseEven: Int32Array;
  inverseOdd: Int32Array;
}

const known = Array<Basis | undefined>(17);

function basisOf(b: number): Basis {
  const basis = known[b];
  if (basis) return basis;
  const d = dctMatrix(b);
  const width = (b + 1) >> 1;
  const padded = 4 * Math.ceil(width / 4);
  /** For input `i` and output `o`, both below `width`. */
  const half = (valueAt: (i: number, o: number) => number) =>
    Int32Array.from({ length: width * padded }, (_, at) => {
      const output = at % padded;
      return output < width ? valueAt(Math.floor(at / padded), output) : 0;
    });
  const even = (k: number, i: number) => d[2 * k * b + i]!;
  const odd = (k: number, i: number) => (2 * k + 1 < b ? d[(2 * k + 1) * b + i]! : 0);
  const made: Basis = {
    b,
    padded,
    forwardEven: half((i, k) => even(k, i)),
    forwardOdd: half((i, k) => odd(k, i)),
    inverseEven: half(even),
    inverseOdd: half(odd),
  };
  known[b] = made;
  return made;
}

/** All blocks, forward. */
export function transformBlocks(y: Int32Array, { view: { columns }, block: [bh, bw] }: IsthmusSetup): void {
  if (bw > 1) {
    const basis = basisOf(bw);
    for (let at = 0; at < y.length; at += bw) forwardLine(y, at, 1, basis);
  }
  if (bh > 1) {
    const basis = basisOf(bh);
    for (let row = 0; row < y.length; row += bh * columns)
      for (let at = row; at < row + columns; at++) forwardLine(y, at, columns, basis);
  }
}

/** All blocks, inverse. */
export function restoreBlocks(y: Int32Array, { view: { columns }, block: [bh, bw] }: IsthmusSetup): void {
  if (bh > 1) {
    const basis = basisOf(bh);
    for (let row = 0; row < y.length; row += bh * columns)
      for (let at = row; at < row + columns; at++) inverseLine(y, at, columns, basis);
  }
  if (bw > 1) {
    const basis = basisOf(bw);
    for (let at = 0; at < y.length; at += bw) inverseLine(y, at, 1, basis);
  }
}

/** Inputs and outputs of {@link products}. */
const evenIn = new Int32Array(8);
const oddIn = new Int32Array(8);
const evenOut = new Int32Array(8);
const oddOut = new Int32Array(8);

/** out[o] = start + Σ weights[i][o]·input[i], four outputs at a time, which stay in registers. */
function products(
  weights: Int32Array,
  padded: number,
  input: Int32Array,
  count: number,
  start: number,
  out: Int32Array,
): void {
  for (let o = 0; o < padded; o += 4) {
    let a = start;
    let b = start;
    let c = start;
    let d = start;
    for (let i = 0, at = o; i < count; i++, at += padded) {
      const z = input[i]!;
      a = (a + Math.imul(weights[at]!, z)) | 0;
      b = (b + Math.imul(weights[at + 1]!, z)) | 0;
      c = (c + Math.imul(weights[at + 2]!, z)) | 0;
      d = (d + Math.imul(weights[at + 3]!, z)) | 0;
    }
    out[o] = a;
    out[o + 1] = b;
    out[o + 2] = c;
    out[o + 3] = d;
  }
}

function forwardLine(y: Int32Array, at: number, stride: number, basis: Basis): void {
  const { b, padded } = basis;
  const half = b >> 1;
  let left = at;
  let right = at + (b - 1) * stride;
  for (let i = 0; i < half; i++) {
    const l = y[left]!;
    const r = y[right]!;
    evenIn[i] = l + r;
    oddIn[i] = l - r;
    left += stride;
    right -= stride;
  }
  const width = b - half;
  if (half < width) evenIn[half] = y[left]!;
  products(basis.forwardEven, padded, evenIn, width, 1024, evenOut);
  products(basis.forwardOdd, padded, oddIn, half, 1024, oddOut);
  let to = at;
  for (let k = 0; k < half; k++) {
    y[to] = limited(evenOut[k]! >> 11);
    y[to + stride] = limited(oddOut[k]! >> 11);
    to += 2 * stride;
  }
  if (half < width) y[to] = limited(evenOut[half]! >> 11);
}

/** High frequencies are zero more often than not: only what is below the last one that is not takes time. */
function inverseLine(y: Int32Array, at: number, stride: number, basis: Basis): void {
  const { b, padded } = basis;
  const half = b >> 1;
  let evens = 0;
  let odds = 0;
  let from = at;
  for (let k = 0; k < half; k++) {
    const e = y[from]!;
    const o = y[from + stride]!;
    evenIn[k] = e;
    oddIn[k] = o;
    if (e !== 0) evens = k + 1;
    if (o !== 0) odds = k + 1;
    from += 2 * stride;
  }
  const isOdd = (b & 1) !== 0;
  if (isOdd) {
    const e = y[from]!;
    evenIn[half] = e;
    if (e !== 0) evens = half + 1;
  }
  if ((evens | odds) === 0) return;
  products(basis.inverseEven, padded, evenIn, evens, 1024, evenOut);
  products(basis.inverseOdd, padded, oddIn, odds, 0, oddOut);
  let left = at;
  let right = at + (b - 1) * stride;
  for (let i = 0; i < half; i++) {
    const e = evenOut[i]!;
    const o = oddOut[i]!;
    y[left] = limited((e + o) >> 11);
    y[right] = limited((e - o) >> 11);
    left += stride;
    right -= stride;
  }
  if (isOdd) y[left] = limited(evenOut[half]! >> 11);
}

function limited(x: number): number {
  return Math.max(-LIMIT, Math.min(LIMIT, x));
}
