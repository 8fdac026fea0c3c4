// Products, Cholesky factors and triangular solutions of small dense matrices, row-major in Float64Array. Only what the
// channel transform needs.

/** A·B for A n × m and B m × k. */
export function multiply(
  a: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
  k: number,
): Float64Array<ArrayBuffer> {
  const product = new Float64Array(n * k);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      const factor = a[i * m + j]!;
      if (factor === 0) continue;
      const row = j * k;
      for (let c = 0; c < k; c++) product[i * k + c]! += factor * b[row + c]!;
    }
  }
  return product;
}

/** Aᵗ for A n × m. */
export function transpose(a: Float64Array, n: number, m: number): Float64Array<ArrayBuffer> {
  const result = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) result[j * n + i] = a[i * m + j]!;
  return result;
}

/** Lower triangular L with L·Lᵗ = A; A must be positive definite, which its ridge makes it. */
export function cholesky(a: Float64Array, n: number): Float64Array<ArrayBuffer> {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!;
      if (i !== j) l[i * n + j] = sum / l[j * n + j]!;
      else if (sum > 0) l[i * n + i] = Math.sqrt(sum);
      else throw new Error('A channel metric is not positive definite.');
    }
  }
  return l;
}

/** X with Lᵗ·X = B for lower triangular L n × n and B n × k. */
export function solveTransposed(
  l: Float64Array,
  b: Float64Array,
  n: number,
  k: number,
): Float64Array<ArrayBuffer> {
  const x = Float64Array.from(b);
  for (let i = n - 1; i >= 0; i--) {
    const pivot = l[i * n + i]!;
    for (let c = 0; c < k; c++) x[i * k + c]! /= pivot;
    for (let j = 0; j < i; j++) {
      const factor = l[i * n + j]!;
      if (factor === 0) continue;
      for (let c = 0; c < k; c++) x[j * k + c]! -= factor * x[i * k + c]!;
    }
  }
  return x;
}
