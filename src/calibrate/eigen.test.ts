import { describe, expect, it } from 'vitest';
import { eigenSymmetric } from './eigen.ts';
import { cholesky, multiply, solveTransposed, transpose } from './matrix.ts';
import { signStream } from './random.ts';

function symmetric(n: number, seed: number): Float64Array {
  const sign = signStream(seed);
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const value = sign() * Math.abs(Math.sin(1 + i * 7.3 + j * 3.1));
      matrix[i * n + j] = value;
      matrix[j * n + i] = value;
    }
  }
  return matrix;
}

const largestDifference = (a: Float64Array, b: Float64Array) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

function unit(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
}

describe('eigenSymmetric', () => {
  it.each([1, 2, 3, 8, 61])('rebuilds a %i × %i matrix from orthonormal vectors', (n) => {
    const matrix = symmetric(n, n);
    const { values, vectors } = eigenSymmetric(matrix, n);
    const columns = transpose(vectors, n, n);
    expect(largestDifference(multiply(vectors, columns, n, n, n), unit(n))).toBeLessThan(1e-12);
    const scaled = vectors.map((x, i) => x * values[Math.floor(i / n)]!);
    expect(largestDifference(multiply(columns, scaled, n, n, n), matrix)).toBeLessThan(1e-11);
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
  });

  it('finds known values, also equal ones and zeros', () => {
    expect([...eigenSymmetric(Float64Array.of(2, 1, 1, 2), 2).values]).toEqual([
      expect.closeTo(3, 12),
      expect.closeTo(1, 12),
    ]);
    expect([...eigenSymmetric(unit(5), 5).values]).toEqual([1, 1, 1, 1, 1]);
    expect([...eigenSymmetric(new Float64Array(16), 4).values]).toEqual([0, 0, 0, 0]);
    const rankOne = Float64Array.from({ length: 36 }, (_, i) => (1 + Math.floor(i / 6)) * (1 + (i % 6)));
    const { values } = eigenSymmetric(rankOne, 6);
    expect(values[0]).toBeCloseTo(91, 10);
    expect(Math.abs(values[5]!)).toBeLessThan(1e-12);
  });
});

describe('cholesky', () => {
  it('factors, and its solution inverts', () => {
    const n = 17;
    const root = symmetric(n, 3);
    const matrix = multiply(root, transpose(root, n, n), n, n, n).map((x, i) =>
      i % (n + 1) === 0 ? x + 0.1 : x,
    );
    const lower = cholesky(matrix, n);
    const upper = transpose(lower, n, n);
    expect(largestDifference(multiply(lower, upper, n, n, n), matrix)).toBeLessThan(1e-12);
    const inverse = solveTransposed(lower, unit(n), n, n);
    expect(largestDifference(multiply(upper, inverse, n, n, n), unit(n))).toBeLessThan(1e-10);
  });

  it('refuses what is not positive definite', () => {
    expect(() => cholesky(Float64Array.of(1, 2, 2, 1), 2)).toThrow('not positive definite');
  });
});
