// From coefficients of real features to what the entropy coder needs: a class per coefficient, a table per class or per
// neighbourhood, and where a quantised magnitude is best reconstructed.
import { NEIGHBOUR_TABLES, TOKENS, type View3 } from '../codec/profile.ts';
import { classShift, stepAt } from '../codec/reference/isthmusFixed.ts';
import { LARGEST_MAGNITUDE, tableOf, tokenOf } from '../codec/reference/isthmusSymbols.ts';
import { normalise } from '../codec/reference/ransTable.ts';
import type { Draft } from './draft.ts';

/** Tables of a profile with classes; number 18 is for coefficients whose deviation equals the step, three to an octave. */
export const CLASS_TABLES = 31;
const CLASS_OF_STEP = 18;
/** A table begins with so many symbols of a Laplace distribution: what training never saw stays possible. */
const PRIOR_SYMBOLS = 24;
/** Neighbour contexts are counted on about so many coefficients per step. */
const CONTEXT_SYMBOLS = 2e6;

/** Class of every coefficient (R × mh × mw) from its root mean square over all features and blocks. */
export function classesOf(draft: Draft, view: View3, coefficients: readonly Float32Array[]): Uint8Array {
  const [mh, mw] = draft.map;
  const squares = new Float64Array(draft.rank * mh * mw);
  for (const values of coefficients) {
    forEachPlace(draft, view, (at, place) => {
      squares[place]! += values[at]! ** 2;
    });
  }
  const samples = (coefficients.length * view.rows * view.columns) / (mh * mw);
  return Uint8Array.from(squares, (sum, place) => {
    const unit = draft.weights[place % (mh * mw)]! / 256;
    const rms = Math.sqrt(sum / samples) / unit;
    const wanted = CLASS_OF_STEP + Math.round(3 * Math.log2(Math.max(rms, 2 ** -10)));
    return Math.max(0, Math.min(255, wanted));
  });
}

function forEachPlace(draft: Draft, view: View3, f: (at: number, place: number) => void): void {
  const [mh, mw] = draft.map;
  let at = 0;
  for (let r = 0; r < draft.rank; r++) {
    for (let y = 0; y < view.rows; y++) {
      const row = (r * mh + (y % mh)) * mw;
      for (let x = 0; x < view.columns; x++) f(at++, row + (x % mw));
    }
  }
}

/** Quantises like the codec. */
export function quantiseFloat(draft: Draft, view: View3, step: number, values: Float32Array): Int32Array {
  const [mh, mw] = draft.map;
  const steps = Float64Array.from(draft.weights, (weight) => stepAt(step, weight));
  const q = new Int32Array(draft.rank * view.rows * view.columns);
  forEachPlace(draft, view, (at, place) => {
    const d = steps[place % (mh * mw)]!;
    const y = values[at]!;
    const magnitude = Math.min(
      LARGEST_MAGNITUDE,
      Math.floor((Math.abs(y) + Math.floor((d * draft.deadZone) / 256)) / d),
    );
    q[at] = y < 0 ? -magnitude : magnitude;
  });
  return q;
}

/** Token counts per table at steps around `step`. */
export function trainTables(
  draft: Draft,
  view: View3,
  classes: Uint8Array | undefined,
  coefficients: readonly Float32Array[],
  step: number,
): Uint16Array {
  const count = classes ? CLASS_TABLES : NEIGHBOUR_TABLES;
  const counts = new Float64Array(count * TOKENS);
  const symbols = draft.rank * view.rows * view.columns;
  const most = classes ? coefficients.length : Math.max(4, Math.ceil(CONTEXT_SYMBOLS / symbols));
  for (const values of coefficients.slice(0, most)) {
    for (const factor of [0.5, 1, 2]) {
      const trial = Math.min(65536, Math.max(1, Math.round(step * factor)));
      const q = quantiseFloat(draft, view, trial, values);
      const weight = factor === 1 ? 2 : 1; // the step that is asked for most counts most
      const add = (table: number, at: number) => {
        counts[table * TOKENS + tokenOf(Math.abs(q[at]!)).token]! += weight;
      };
      if (classes) {
        const shift = classShift(trial);
        forEachPlace(draft, view, (at, place) => {
          add(Math.max(0, Math.min(count - 1, classes[place]! + shift)), at);
        });
      } else {
        const setup = { ...draft, view, codedPlanes: draft.rank, tables: EMPTY };
        for (let at = 0; at < q.length; at++) add(tableOf(q, at, 0, 0, setup), at);
      }
    }
  }
  return smoothedTables(counts, count, draft.deadZone, classes !== undefined);
}

const EMPTY = new Uint16Array(NEIGHBOUR_TABLES * TOKENS);

/** Tables that nothing was counted for: those of Laplace distributions. */
export function priorTables(draft: Draft, classed: boolean): Uint16Array {
  const count = classed ? CLASS_TABLES : NEIGHBOUR_TABLES;
  return smoothedTables(new Float64Array(count * TOKENS), count, draft.deadZone, classed);
}

function smoothedTables(
  counts: Float64Array,
  tables: number,
  deadZone: number,
  classed: boolean,
): Uint16Array {
  const result = new Uint16Array(counts.length);
  for (let k = 0; k < tables; k++) {
    const deviation = classed ? 2 ** ((k - CLASS_OF_STEP) / 3) : 0.15 * (k + 1) ** 1.5;
    const prior = laplaceTokens(deviation, deadZone / 256);
    const row = prior.map((p, t) => PRIOR_SYMBOLS * p + counts[k * TOKENS + t]!);
    const sum = row.reduce((a, b) => a + b, 0);
    result.set(normalise(row.map((n) => Math.max(1, Math.round((n / sum) * 2 ** 20)))), k * TOKENS);
  }
  return result;
}

/** Probability of each token when values are Laplacian with `deviation` steps. */
function laplaceTokens(deviation: number, deadZone: number): number[] {
  const above = (magnitude: number) =>
    magnitude <= 0 ? 1 : Math.exp((-Math.SQRT2 * (magnitude - deadZone)) / deviation);
  return Array.from({ length: TOKENS }, (_, token) => {
    if (token < 15) return above(token) - above(token + 1);
    const first = 14 + 2 ** (token - 15);
    return above(first) - (token === TOKENS - 1 ? 0 : above(first + 2 ** (token - 15)));
  });
}

/**
 * ρ1 and ρ2: how far beyond the multiple the mean of what is quantised to 1, and above, lies.
 *
 * @param keepMean adds what is lost where 0 is decoded: features after a ReLU have one sign, the tail sums many of them, and a
 *   mean that has shifted hurts it more than noise
 */
export function centroids(
  draft: Draft,
  view: View3,
  coefficients: readonly Float32Array[],
  step: number,
  keepMean: boolean,
): [number, number] {
  const [mh, mw] = draft.map;
  const sums = [0, 0];
  const counts = [0, 0];
  let lost = 0;
  for (const values of coefficients) {
    const q = quantiseFloat(draft, view, step, values);
    forEachPlace(draft, view, (at, place) => {
      const magnitude = Math.abs(q[at]!);
      const value = values[at]! / stepAt(step, draft.weights[place % (mh * mw)]!);
      if (magnitude === 0) {
        lost += value; // what is lost on both sides cancels
        return;
      }
      const level = magnitude === 1 ? 0 : 1;
      sums[level]! += Math.abs(value) - magnitude;
      counts[level]!++;
    });
  }
  const extra = keepMean ? Math.abs(lost) / Math.max(1, counts[0]! + counts[1]!) : 0;
  const rho = (level: number) =>
    counts[level]! < 20
      ? 0
      : Math.max(-128, Math.min(127, Math.round(256 * (sums[level]! / counts[level]! + extra))));
  return [rho(0), rho(1)];
}

/**
 * Coefficients per position that are anything but 0 at a step in more than one of a thousand places, counted from the first.
 * Rarer ones cost more as a plane of zeros than they help.
 */
export function usefulRank(
  draft: Draft,
  view: View3,
  coefficients: readonly Float32Array[],
  step: number,
): number {
  const area = view.rows * view.columns;
  const hits = new Float64Array(draft.rank);
  for (const values of coefficients) {
    const q = quantiseFloat(draft, view, step, values);
    for (let at = 0; at < q.length; at++) if (q[at] !== 0) hits[Math.floor(at / area)]!++;
  }
  const least = (area * coefficients.length) / 1000;
  return Math.max(1, hits.findLastIndex((n) => n > least) + 1);
}
