// The block transform in floating point: what the codec's whole-number DCT approximates. For statistics and probes only;
// no bit of a frame depends on it.
import type { View3 } from '../codec/profile.ts';

/** Orthonormal DCT-II of length b, row-major: row k holds frequency k. */
export function cosineBasis(b: number): Float64Array {
  return Float64Array.from({ length: b * b }, (_, at) => {
    const k = Math.floor(at / b);
    const i = at % b;
    return Math.sqrt((k === 0 ? 1 : 2) / b) * Math.cos((Math.PI * (2 * i + 1) * k) / (2 * b));
  });
}

/** Transforms every block of every plane of `data` ([planes, rows, columns]) in place. */
export function transformBlocks(
  data: Float32Array,
  { rows, columns }: View3,
  [bh, bw]: readonly [number, number],
): void {
  if (bw > 1) transformLines(data, bw, (line) => line * bw, data.length / bw, 1);
  if (bh > 1) {
    const perBand = columns; // lines of one band of blocks
    transformLines(
      data,
      bh,
      (line) => Math.floor(line / perBand) * bh * columns + (line % perBand),
      data.length / bh,
      columns,
    );
  }
  if (rows % bh !== 0 || columns % bw !== 0) throw new Error('The blocks do not fit the planes.');
}

function transformLines(
  data: Float32Array,
  length: number,
  start: (line: number) => number,
  lines: number,
  stride: number,
): void {
  const basis = cosineBasis(length);
  const line = new Float64Array(length);
  for (let l = 0; l < lines; l++) {
    const at = start(l);
    for (let i = 0; i < length; i++) line[i] = data[at + i * stride]!;
    for (let k = 0; k < length; k++) {
      let sum = 0;
      for (let i = 0; i < length; i++) sum += basis[k * length + i]! * line[i]!;
      data[at + k * stride] = sum;
    }
  }
}
