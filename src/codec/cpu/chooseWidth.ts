// ABQ of the fast encoder: how many bits a block's codes need under the distortion budget (FORMAT.md, "ABQ").
import type { SlicerPlan } from '../params.ts';

/** Histograms of the 8-bit codes, 256 counts per block; what the integer budget looks at. */
export function codesOf8Bits(
  units: Uint32Array,
  block: Uint8Array,
  lo: Uint32Array,
  hi: Uint32Array,
): Uint32Array {
  const histograms = new Uint32Array(lo.length * 256);
  for (let k = 0; k < units.length; k++) {
    const j = block[k]!;
    const range = hi[j]! - lo[j]!;
    if (range === 0) continue;
    const code = ((units[k]! - lo[j]!) * 255 + (range >>> 1)) / range;
    histograms[j * 256 + (code >>> 0)]!++;
  }
  return histograms;
}

/**
 * @param range hi - lo of the block
 * @param size survivors in the block
 * @param top largest fixed-point magnitude of the tensor
 * @param histogram 256 counts of 8-bit codes; only for the integer budget
 * @returns bits per code, 0…8
 */
export function chooseWidth(
  range: number,
  size: number,
  top: number,
  plan: SlicerPlan,
  histogram?: Uint32Array,
): number {
  if (range === 0) return 0;
  let width = 1;
  if (plan.mode === 'step') {
    const step = Math.floor(((top >>> 8) * plan.budgetQ16) / 256);
    while (width < 8 && (2 ** width - 1) * step < range) width++;
    return width;
  }
  const allowed = (size >>> 8) * plan.budgetQ16 + Math.floor(((size & 255) * plan.budgetQ16) / 256);
  while (width < 8 && roundingError(histogram!, 8 - width) > allowed) width++;
  return width;
}

/** Σ |code - code rounded to a multiple of 2^drop| over a histogram of 8-bit codes. */
function roundingError(histogram: Uint32Array, drop: number): number {
  const half = 1 << (drop - 1);
  let sum = 0;
  for (let code = 0; code < 256; code++) {
    sum += histogram[code]! * Math.abs(code - (((code + half) >> drop) << drop));
  }
  return sum;
}
