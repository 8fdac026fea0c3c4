// Resampling: the one definition of how a picture changes size, for browser GPU, browser CPU and server. Antialiased
// triangle filter, exactly PIL's and torchvision's 'bilinear' with antialias=True, but never rounded to whole bytes on
// the way. The GPU shader reads the same weight tables. No crop rule and no normalisation here (preprocess.ts).
import { IsthmusError } from '../errors.ts';
import type { Pixels } from '../head/runtime.ts';

/**
 * Weights of one axis: output `i` of the window is Σ weights[i·taps + t] · input[start[i] + t] for t in 0…taps-1.
 * `start[i] + taps` never exceeds the input size, so a reader needs no clamping; unused taps weigh 0. `start` rises.
 */
export interface WeightTable {
  start: Uint32Array;
  weights: Float32Array;
  taps: number;
}

/**
 * Weight table for outputs outFrom…outFrom+outCount-1 of an axis that goes from `inSize` to `outSize` samples.
 *
 * The triangle has half-width max(1, scale) with scale = inSize/outSize, is centred on (i + 0.5)·scale, and its
 * weights are normalised to a sum of 1 (in double precision, then rounded to float32).
 */
export function weightTable(inSize: number, outSize: number, outFrom = 0, outCount = outSize): WeightTable {
  const scale = inSize / outSize;
  const support = Math.max(1, scale);
  const window = (i: number) => {
    const centre = (outFrom + i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const to = Math.min(inSize, Math.trunc(centre + support + 0.5));
    return { centre, from, to };
  };
  let taps = 1;
  for (let i = 0; i < outCount; i++) {
    const { from, to } = window(i);
    taps = Math.max(taps, to - from);
  }
  const start = new Uint32Array(outCount);
  const weights = new Float32Array(outCount * taps);
  for (let i = 0; i < outCount; i++) {
    const { centre, from, to } = window(i);
    const first = Math.min(from, inSize - taps); // at the far edge the unused taps come first instead of last
    const weight = (x: number) => Math.max(0, 1 - Math.abs((x - centre + 0.5) / support));
    let sum = 0;
    for (let x = from; x < to; x++) sum += weight(x);
    start[i] = first;
    for (let x = from; x < to; x++) weights[i * taps + (x - first)] = weight(x) / sum;
  }
  return { start, weights, taps };
}

/**
 * Transparency: the picture lies on white paper. An integer rule, so that every path has the same bytes:
 * round((c·a + 255·(255 - a)) / 255), computed without a division.
 */
export function overWhite(value: number, alpha: number): number {
  const t = value * alpha + 255 * (255 - alpha) + 128;
  return (t + (t >> 8)) >> 8;
}

/**
 * Resamples the window that the two tables describe: rows first, then columns, sums in double precision, float32 in
 * between. Memory is one row plus the result, whatever the size of the picture.
 *
 * @returns RGB interleaved, row-major, 0…255, not rounded; one row has `horizontal.start.length` pixels.
 */
export function resample(pixels: Pixels, horizontal: WeightTable, vertical: WeightTable): Float64Array {
  checkPixels(pixels);
  const { width } = pixels;
  const data = new Uint8Array(pixels.data.buffer, pixels.data.byteOffset, pixels.data.length); // one type: V8 stays fast
  const outWidth = horizontal.start.length;
  const outHeight = vertical.start.length;
  const result = new Float64Array(outWidth * outHeight * 3);
  const row = new Float32Array(outWidth * 3);
  const scratch = new Uint8Array(width * 4);
  const left = horizontal.start[0]!;
  const right = horizontal.start[outWidth - 1]! + horizontal.taps;
  const top = vertical.start[0]!;
  const bottom = vertical.start[outHeight - 1]! + vertical.taps;
  let first = 0; // the first output row that still waits for input rows
  for (let y = top; y < bottom; y++) {
    while (first < outHeight && vertical.start[first]! + vertical.taps <= y) first++;
    const base = y * width * 4;
    if (isOpaque(data, base, left, right)) resampleRow(data, base, horizontal, row);
    else {
      flattenRow(data, base, left, right, scratch);
      resampleRow(scratch, 0, horizontal, row);
    }
    for (let o = first; o < outHeight && vertical.start[o]! <= y; o++) {
      const weight = vertical.weights[o * vertical.taps + (y - vertical.start[o]!)]!;
      if (weight !== 0) addRow(result, o * row.length, row, weight);
    }
  }
  return result;
}

function resampleRow(
  data: Uint8Array,
  base: number,
  { start, weights, taps }: WeightTable,
  row: Float32Array,
): void {
  for (let i = 0, k = 0; i < start.length; i++) {
    let p = base + start[i]! * 4;
    let r = 0;
    let g = 0;
    let b = 0;
    for (const end = k + taps; k < end; k++, p += 4) {
      const w = weights[k]!;
      r += w * data[p]!;
      g += w * data[p + 1]!;
      b += w * data[p + 2]!;
    }
    row[i * 3] = r;
    row[i * 3 + 1] = g;
    row[i * 3 + 2] = b;
  }
}

function addRow(result: Float64Array, at: number, row: Float32Array, weight: number): void {
  for (let i = 0; i < row.length; i++) result[at + i]! += weight * row[i]!;
}

function isOpaque(data: Uint8Array, base: number, left: number, right: number): boolean {
  for (let p = base + left * 4 + 3, end = base + right * 4; p < end; p += 4)
    if (data[p] !== 255) return false;
  return true;
}

function flattenRow(data: Uint8Array, base: number, left: number, right: number, scratch: Uint8Array): void {
  for (let p = left * 4; p < right * 4; p += 4) {
    const alpha = data[base + p + 3]!;
    for (let c = 0; c < 3; c++) scratch[p + c] = overWhite(data[base + p + c]!, alpha);
  }
}

function checkPixels({ width, height, data }: Pixels): void {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (whole && data.length === width * height * 4) return;
  throw new IsthmusError(
    'IMAGE_INVALID',
    `A picture of ${width}×${height} pixels needs ${width * height * 4} RGBA bytes, not ${data.length}. Pass width, height and data that belong together.`,
  );
}
