// The channel transform of family `isthmus`, fast: planes times a matrix of whole numbers, in tiles that stay in the cache.
// Equals codec/reference/isthmusTransform.ts. Sums may wrap on their way: their results fit 32 bits (profile.ts).
import type { IsthmusSetup } from '../reference/isthmusSetup.ts';

/** Positions that are worked on together. */
const TILE = 512;
/** Coefficients that the inverse copies before it overwrites them. */
const SCRATCH = 0x8000;
/** What coefficients are limited to. */
const LIMIT = 0x10000;

/** Feature (P planes) to coefficients (P' planes); the feature itself, changed, where there is no transform. */
export function analyse(x: Int32Array, setup: IsthmusSetup): Int32Array {
  const { view, channels, rank, means, transform } = setup;
  const area = view.rows * view.columns;
  if (!transform) {
    if (means) addMeans(x, means, area, -1);
    return x;
  }
  const y = new Int32Array(setup.codedPlanes * area);
  const { analysis, shiftA } = transform;
  // The means leave through the sums: A·(x - mean) = A·x - A·mean.
  const starts = Int32Array.from({ length: rank }, (_, r) => {
    let sum = 0;
    for (let c = 0; c < channels; c++)
      sum = (sum - Math.imul(analysis[r * channels + c]!, means?.[c] ?? 0)) | 0;
    return sum;
  });
  const all = Uint32Array.from({ length: channels }, (_, c) => c);
  for (let n = 0; n < view.planes / channels; n++) {
    const from = n * channels * area;
    const to = n * rank * area;
    for (let tile = 0; tile < area; tile += TILE) {
      const size = Math.min(TILE, area - tile);
      for (let r = 0; r < rank; r++) {
        const at = to + r * area + tile;
        y.fill(starts[r]!, at, at + size);
        addProducts(y, at, size, analysis, r * channels, x, from + tile, area, all, channels);
        finish(y, at, size, shiftA, 0, LIMIT);
      }
    }
  }
  return y;
}

/** Coefficients that the inverse works on, kept from call to call: a frame may have 64 tensors. */
let tile = new Int32Array(SCRATCH);

/**
 * Coefficients to feature in place: the P' planes at the beginning of `x` become its P ≥ P' planes. Planes of zeros, which are
 * many, cost nothing.
 */
export function synthesise(x: Int32Array, setup: IsthmusSetup): void {
  const { view, channels, rank, means, transform } = setup;
  const area = view.rows * view.columns;
  if (!transform) {
    if (means) addMeans(x, means, area, 1);
    return;
  }
  const { synthesis, shiftB } = transform;
  const width = Math.min(area, Math.max(16, Math.floor(SCRATCH / rank)));
  if (tile.length < rank * width) tile = new Int32Array(rank * width);
  const y = tile;
  const active = new Uint32Array(rank);
  // The last batch first: what it grows over has been dealt with.
  for (let n = view.planes / channels - 1; n >= 0; n--) {
    const batch = n * channels * area;
    x.copyWithin(batch, n * rank * area, (n + 1) * rank * area);
    for (let start = 0; start < area; start += width) {
      const size = Math.min(width, area - start);
      let count = 0;
      for (let r = 0; r < rank; r++)
        if (takeLimited(x, batch + r * area + start, size, y, r * width)) active[count++] = r;
      for (let c = 0; c < channels; c++) {
        const at = batch + c * area + start;
        x.fill(0, at, at + size);
        addProducts(x, at, size, synthesis, c * rank, y, 0, width, active, count);
        finish(x, at, size, shiftB, means?.[c] ?? 0, 0x7fffffff);
      }
    }
  }
}

function addMeans(x: Int32Array, means: Int16Array, area: number, sign: 1 | -1): void {
  for (let at = 0, plane = 0; at < x.length; plane++) {
    const mean = sign * means[plane % means.length]!;
    for (const end = at + area; at < end; at++) x[at]! += mean;
  }
}

/** out[at…] += Σ matrix[row + c] · input of plane c, over the planes listed. */
function addProducts(
  out: Int32Array,
  at: number,
  size: number,
  matrix: Int16Array,
  row: number,
  input: Int32Array,
  from: number,
  area: number,
  planes: Uint32Array,
  count: number,
): void {
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const a = planes[j]!;
    const b = planes[j + 1]!;
    const c = planes[j + 2]!;
    const d = planes[j + 3]!;
    const wa = matrix[row + a]!;
    const wb = matrix[row + b]!;
    const wc = matrix[row + c]!;
    const wd = matrix[row + d]!;
    const atA = from + a * area;
    const atB = from + b * area;
    const atC = from + c * area;
    const atD = from + d * area;
    for (let i = 0; i < size; i++) {
      const ab = (Math.imul(wa, input[atA + i]!) + Math.imul(wb, input[atB + i]!)) | 0;
      const cd = (Math.imul(wc, input[atC + i]!) + Math.imul(wd, input[atD + i]!)) | 0;
      out[at + i] = (out[at + i]! + ((ab + cd) | 0)) | 0;
    }
  }
  for (; j < count; j++) {
    const w = matrix[row + planes[j]!]!;
    const atA = from + planes[j]! * area;
    for (let i = 0; i < size; i++) out[at + i] = (out[at + i]! + Math.imul(w, input[atA + i]!)) | 0;
  }
}

/** Rounds sums, limits them and adds `mean`. */
function finish(out: Int32Array, at: number, size: number, shift: number, mean: number, limit: number): void {
  const half = shift === 0 ? 0 : 1 << (shift - 1);
  for (let i = at; i < at + size; i++) {
    const value = (out[i]! + half) >> shift;
    out[i] = (value > limit ? limit : Math.max(value, -limit)) + mean;
  }
}

/** Copies coefficients within their limit. @returns whether there is anything but zeros */
function takeLimited(x: Int32Array, at: number, size: number, y: Int32Array, to: number): boolean {
  let any = 0;
  for (let i = 0; i < size; i++) {
    const value = x[at + i]!;
    any |= value;
    y[to + i] = Math.max(-LIMIT, Math.min(LIMIT, value));
  }
  return any !== 0;
}
