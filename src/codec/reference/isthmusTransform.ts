// The transforms of family `isthmus` in whole numbers: across channels, then in blocks of a plane; forward and inverse.
// FORMAT.md, "Block transform" and "Channel transform". Slow and obvious; `cpu/` and the shaders equal it.
import type { IsthmusSetup } from './isthmusSetup.ts';

export const clamp = (x: number, limit: number): number => Math.max(-limit, Math.min(limit, x));

const BLOCK_LIMIT = 2 ** 17;
const CHANNEL_LIMIT = 2 ** 16;
const dctMatrices = new Map<number, Int32Array>();

/** D_b, row-major: row k holds frequency k. */
export function dctMatrix(b: number): Int32Array {
  let matrix = dctMatrices.get(b);
  if (!matrix) {
    matrix = Int32Array.from({ length: b * b }, (_, at) => {
      const k = Math.floor(at / b);
      const i = at % b;
      return Math.round(
        2048 * Math.sqrt((k === 0 ? 1 : 2) / b) * Math.cos((Math.PI * (2 * i + 1) * k) / (2 * b)),
      );
    });
    dctMatrices.set(b, matrix);
  }
  return matrix;
}

/** Fixed-point feature (P planes) to coefficients (P' planes). */
export function forward(x: Int32Array, setup: IsthmusSetup): Int32Array {
  const { view, channels, rank, means, transform } = setup;
  const area = view.rows * view.columns;
  const y = new Int32Array(setup.codedPlanes * area);
  const batches = view.planes / channels;
  for (let n = 0; n < batches; n++) {
    for (let i = 0; i < area; i++) {
      const v = (c: number) => x[(n * channels + c) * area + i]! - (means?.[c] ?? 0);
      for (let r = 0; r < rank; r++) {
        let value = 0;
        if (transform) {
          for (let c = 0; c < channels; c++) value += transform.analysis[r * channels + c]! * v(c);
          value = clamp(shiftRounded(value, transform.shiftA), CHANNEL_LIMIT);
        } else value = v(r);
        y[(n * rank + r) * area + i] = value;
      }
    }
  }
  const [bh, bw] = setup.block;
  if (bw > 1) eachLine(y, setup, 'row', (line) => multiply(dctMatrix(bw), line, false));
  if (bh > 1) eachLine(y, setup, 'column', (line) => multiply(dctMatrix(bh), line, false));
  return y;
}

/** Dequantised coefficients to the fixed-point feature; `y` is overwritten. */
export function inverse(y: Int32Array, setup: IsthmusSetup): Int32Array {
  const { view, channels, rank, means, transform } = setup;
  const [bh, bw] = setup.block;
  if (bh > 1) eachLine(y, setup, 'column', (line) => multiply(dctMatrix(bh), line, true));
  if (bw > 1) eachLine(y, setup, 'row', (line) => multiply(dctMatrix(bw), line, true));
  const area = view.rows * view.columns;
  const x = new Int32Array(view.planes * area);
  const batches = view.planes / channels;
  for (let n = 0; n < batches; n++) {
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < channels; c++) {
        let value = 0;
        if (transform) {
          for (let r = 0; r < rank; r++)
            value += transform.synthesis[c * rank + r]! * clamp(y[(n * rank + r) * area + i]!, CHANNEL_LIMIT);
          value = shiftRounded(value, transform.shiftB);
        } else value = y[(n * rank + c) * area + i]!;
        x[(n * channels + c) * area + i] = (means?.[c] ?? 0) + value;
      }
    }
  }
  return x;
}

/** x / 2^shift, halves up. */
function shiftRounded(x: number, shift: number): number {
  return shift === 0 ? x : (x + 2 ** (shift - 1)) >> shift;
}

/** D · line, or Dᵗ · line. */
function multiply(matrix: Int32Array, line: number[], transposed: boolean): number[] {
  const b = line.length;
  return line.map((_, k) => {
    let sum = 0;
    for (let i = 0; i < b; i++) sum += matrix[transposed ? i * b + k : k * b + i]! * line[i]!;
    return clamp((sum + 1024) >> 11, BLOCK_LIMIT);
  });
}

/** Replaces every row, or column, of every block. Lines enter clamped, so that no sum overflows. */
function eachLine(
  y: Int32Array,
  { view: { rows, columns }, block: [bh, bw] }: IsthmusSetup,
  direction: 'row' | 'column',
  f: (line: number[]) => number[],
): void {
  const [length, stride] = direction === 'row' ? [bw, 1] : [bh, columns];
  for (let at = 0; at < y.length; at++) {
    const column = at % columns;
    const row = Math.floor(at / columns) % rows;
    if ((direction === 'row' ? column % bw : row % bh) !== 0) continue; // not the first of a line
    const line = Array.from({ length }, (_, i) => clamp(y[at + i * stride]!, BLOCK_LIMIT));
    f(line).forEach((value, i) => {
      y[at + i * stride] = value;
    });
  }
}
