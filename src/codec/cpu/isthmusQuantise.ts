// The quantiser of family `isthmus`, fast: coefficients to whole numbers and back, row by row with the steps of its weights
// at hand, and what rate control wants to know. Equals codec/reference/isthmusSymbols.ts. No tables and no coding.
import { stepAt } from '../reference/isthmusFixed.ts';
import type { IsthmusSetup } from '../reference/isthmusSetup.ts';
import { LARGEST_MAGNITUDE } from '../reference/isthmusSymbols.ts';

const LIMIT = 0x20000;

/** Steps of the whole map [d]. */
function stepsOf(step: number, { weights }: IsthmusSetup): Int32Array {
  return Int32Array.from(weights, (weight) => stepAt(step, weight));
}

/** 1/d, a little too large: floor(n·inverse) = floor(n/d) for n < 2^39. */
const inversesOf = (steps: Int32Array) => Float64Array.from(steps, (d) => (1 + 2 ** -40) / d);

/** @returns coefficients as whole numbers of their steps, rounded with the dead zone, within ±4109 */
export function quantise(y: Int32Array, step: number, deadZone: number, setup: IsthmusSetup): Int32Array {
  const { rows, columns } = setup.view;
  const [mh, mw] = setup.map;
  const steps = stepsOf(step, setup);
  const inverses = inversesOf(steps);
  const offsets = steps.map((d) => Math.floor((d * deadZone) / 256));
  const q = new Int32Array(y.length);
  for (let at = 0, row = 0; at < y.length; row = row + 1 === rows ? 0 : row + 1) {
    const first = (row % mh) * mw;
    for (let column = 0; column < columns; ) {
      // As far as the map's row reaches; all of it with one weight.
      const run = mw === 1 ? columns : Math.min(mw, columns - column);
      let place = first;
      for (let i = 0; i < run; i++, at++) {
        const value = y[at]!;
        const size = value < 0 ? -value : value;
        const n = ((size + offsets[place]!) * inverses[place]!) | 0;
        const magnitude = Math.min(n, LARGEST_MAGNITUDE);
        q[at] = value < 0 ? -magnitude : magnitude;
        if (mw > 1) place++;
      }
      column += run;
    }
  }
  return q;
}

/** In place. */
export function dequantise(q: Int32Array, step: number, setup: IsthmusSetup): void {
  const { rows, columns } = setup.view;
  const [mh, mw] = setup.map;
  const steps = stepsOf(step, setup);
  const [one, more] = setup.rho.map((rho) => steps.map((d) => (rho * d + 128) >> 8)) as [
    Int32Array,
    Int32Array,
  ];
  for (let at = 0, row = 0; at < q.length; row = row + 1 === rows ? 0 : row + 1) {
    const first = (row % mh) * mw;
    for (let column = 0; column < columns; column++, at++) {
      const value = q[at]!;
      if (value === 0) continue;
      const place = first + (mw === 1 ? 0 : column % mw);
      const magnitude = value < 0 ? -value : value;
      const shifted = Math.imul(magnitude, steps[place]!) + (magnitude === 1 ? one[place]! : more[place]!);
      const size = Math.max(0, Math.min(shifted, LIMIT));
      q[at] = value < 0 ? -size : size;
    }
  }
}

/** Squared error of the coefficients relative to their squares; float64 sums in the order of the symbols. */
export function distortion(y: Int32Array, step: number, deadZone: number, setup: IsthmusSetup): number {
  const decoded = Int32Array.from(quantise(y, step, deadZone, setup));
  dequantise(decoded, step, setup);
  let error = 0;
  let energy = 0;
  for (let i = 0; i < y.length; i++) {
    const value = y[i]!;
    const difference = value - decoded[i]!;
    error += difference * difference;
    energy += value * value;
  }
  return energy === 0 ? 0 : error / energy;
}

/** Below this step magnitudes would not fit. */
export function finestStep(
  y: Int32Array,
  { view: { rows, columns }, map: [mh, mw], weights }: IsthmusSetup,
): number {
  const largest = new Int32Array(weights.length);
  for (let at = 0, row = 0; at < y.length; row = row + 1 === rows ? 0 : row + 1) {
    const first = (row % mh) * mw;
    for (let column = 0; column < columns; column++, at++) {
      const size = y[at]! < 0 ? -y[at]! : y[at]!;
      const place = first + (mw === 1 ? 0 : column % mw);
      if (size > largest[place]!) largest[place] = size;
    }
  }
  return largest.reduce((m, size, place) => Math.max(m, Math.floor(size / (8 * weights[place]!))), 0);
}
