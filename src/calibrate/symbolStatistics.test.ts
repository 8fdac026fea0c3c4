import { describe, expect, it } from 'vitest';
import { NEIGHBOUR_TABLES, TOKENS, viewOf } from '../codec/profile.ts';
import { classShift } from '../codec/reference/isthmusFixed.ts';
import type { Draft } from './draft.ts';
import {
  CLASS_TABLES,
  centroids,
  classesOf,
  priorTables,
  quantiseFloat,
  trainTables,
  usefulRank,
} from './symbolStatistics.ts';

const view = viewOf([1, 3, 4, 4]);
const draft: Draft = {
  exponent: 127,
  deadZone: 85,
  rho: [0, 0],
  channels: 3,
  rank: 3,
  block: [4, 4],
  map: [4, 4],
  means: new Int16Array(3),
  weights: new Uint16Array(16).fill(256),
};

/** Laplacian values of deviation 800, 100 and 3 in the three planes. */
const coefficients = Array.from({ length: 200 }, (_, n) =>
  Float32Array.from({ length: 48 }, (_, i) => {
    const u = ((n * 7 + i * 31 + 0.5) * 0.618033988749895) % 1;
    const deviation = [800, 100, 3][Math.floor(i / 16)]!;
    return (-Math.sign(u - 0.5) * Math.log(1 - 2 * Math.abs(u - 0.5)) * deviation) / Math.SQRT2;
  }),
);

const tablesOf = (tables: Uint16Array) =>
  Array.from({ length: tables.length / TOKENS }, (_, k) => tables.subarray(k * TOKENS, (k + 1) * TOKENS));

describe('classes', () => {
  it('follow the deviation, three to an octave, 18 at a deviation of 1', () => {
    const classes = classesOf(draft, view, coefficients);
    for (const [plane, deviation] of [800, 100, 3].entries()) {
      const mean = classes.subarray(16 * plane, 16 * plane + 16).reduce((a, b) => a + b, 0) / 16;
      expect(Math.abs(mean - (18 + 3 * Math.log2(deviation)))).toBeLessThan(1);
    }
    const [first] = classes;
    expect(first! + classShift(800)).toBeGreaterThanOrEqual(17);
    expect(first! + classShift(800)).toBeLessThanOrEqual(19);
  });

  it('count in steps of their frequency', () => {
    const doubled = { ...draft, weights: new Uint16Array(16).fill(512) };
    expect(classesOf(doubled, view, coefficients)[0]).toBe(classesOf(draft, view, coefficients)[0]! - 3);
  });
});

describe('tables', () => {
  const classes = classesOf(draft, view, coefficients);
  it.each([
    ['trained by class', trainTables(draft, view, classes, coefficients, 100), CLASS_TABLES],
    ['trained by neighbours', trainTables(draft, view, undefined, coefficients, 100), NEIGHBOUR_TABLES],
    ['prior', priorTables(draft, true), CLASS_TABLES],
  ])('%s: every token possible, sums of 4096', (_, tables, count) => {
    const rows = tablesOf(tables);
    expect(rows).toHaveLength(count);
    for (const row of rows) {
      expect(Math.min(...row)).toBeGreaterThanOrEqual(1);
      expect(row.reduce((a, b) => a + b, 0)).toBe(4096);
    }
  });

  it('grow wider with the class', () => {
    const zeros = tablesOf(trainTables(draft, view, classes, coefficients, 100)).map((row) => row[0]!);
    expect(zeros[0]).toBeGreaterThan(4000);
    expect(zeros[30]).toBeLessThan(250);
    for (let k = 1; k < zeros.length; k++) expect(zeros[k]).toBeLessThanOrEqual(zeros[k - 1]! + 150);
  });

  // They are trained at twice and half the step too, and keep something for what was never seen.
  it('cost little more than the entropy of what they were trained on', () => {
    const step = 100;
    const rows = tablesOf(trainTables(draft, view, classes, coefficients, step));
    const shift = classShift(step);
    const counts = new Map<string, number>();
    const perTable = new Map<number, number>();
    let bits = 0;
    for (const values of coefficients) {
      quantiseFloat(draft, view, step, values).forEach((q, at) => {
        const table = Math.max(0, Math.min(CLASS_TABLES - 1, classes[at]! + shift));
        const token = Math.min(14, Math.abs(q));
        bits -= Math.log2(rows[table]![token]! / 4096);
        counts.set(`${table} ${token}`, (counts.get(`${table} ${token}`) ?? 0) + 1);
        perTable.set(table, (perTable.get(table) ?? 0) + 1);
      });
    }
    let entropy = 0;
    for (const [key, n] of counts) entropy -= n * Math.log2(n / perTable.get(Number(key.split(' ')[0]))!);
    expect(bits / entropy).toBeLessThan(1.06);
  });
});

describe('centroids and rank', () => {
  it('reconstruct towards where the values are', () => {
    const [one, more] = centroids(draft, view, coefficients, 800, false);
    // A Laplacian falls within the bin, whose middle lies 0.168 of a step above the multiple.
    expect(one).toBeLessThan(43);
    expect(more).toBeLessThan(43);
    expect(one).toBeGreaterThan(-40);
  });

  it('keep the mean of features with one sign', () => {
    const activations = coefficients.map((values) => values.map((x) => Math.max(0, x)));
    const sum = (lists: readonly ArrayLike<number>[]) =>
      lists.reduce((all, list) => all + Array.from(list).reduce((a, b) => a + b, 0), 0);
    const plain = { ...draft, deadZone: 176, weights: Uint16Array.of(256), map: [1, 1] as const };
    const decoded = (rho: readonly [number, number]) =>
      activations.map((values) =>
        quantiseFloat(plain, view, 300, values).map((q) =>
          q === 0 ? 0 : Math.round(300 * (q + rho[q === 1 ? 0 : 1] / 256)),
        ),
      );
    const error = (keepMean: boolean) =>
      sum(decoded(centroids(plain, view, activations, 300, keepMean))) / sum(activations) - 1;
    expect(error(false)).toBeLessThan(-0.005);
    expect(Math.abs(error(true))).toBeLessThan(0.005);
  });

  it('keeps planes that are not always 0', () => {
    expect(usefulRank(draft, view, coefficients, 100)).toBe(2);
    expect(usefulRank(draft, view, coefficients, 2)).toBe(3);
    expect(usefulRank(draft, view, coefficients, 60_000)).toBe(1);
  });
});
