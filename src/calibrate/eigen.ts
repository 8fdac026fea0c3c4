// Eigenvectors of a symmetric matrix: Householder reduction to tridiagonal form, then QL with implicit shifts (Golub and
// Van Loan, Matrix Computations, 8.3). Every inner loop runs along a row, so that 1024 channels take seconds.

/** Values in falling order; row i of `vectors` (n × n, row-major) belongs to value i and has length 1. */
export interface Eigen {
  values: Float64Array;
  vectors: Float64Array;
}

/** @param matrix n × n, row-major, symmetric; not modified */
export function eigenSymmetric(matrix: Float64Array, n: number): Eigen {
  const { diagonal, offDiagonal, vectors } = tridiagonalise(Float64Array.from(matrix), n);
  implicitQl(diagonal, offDiagonal, vectors, n);
  const order = Array.from(diagonal.keys()).sort((a, b) => diagonal[b]! - diagonal[a]!);
  const sorted = new Float64Array(n * n);
  order.forEach((from, to) => {
    sorted.set(vectors.subarray(from * n, (from + 1) * n), to * n);
  });
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: sorted };
}

/** Rows of `vectors` are the columns of Q in A = Q·T·Qᵗ; `a` is used up. */
function tridiagonalise(a: Float64Array, n: number) {
  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(n);
  const reflectors: { k: number; v: Float64Array; beta: number }[] = [];
  for (let k = 0; k < n - 1; k++) {
    const m = n - k - 1; // rows and columns below and right of (k, k)
    const v = new Float64Array(m);
    for (let i = 0; i < m; i++) v[i] = a[(k + 1 + i) * n + k]!;
    const norm = Math.sqrt(dot(v, v));
    const alpha = v[0]! > 0 ? -norm : norm;
    diagonal[k] = a[k * n + k]!;
    offDiagonal[k + 1] = alpha;
    v[0]! -= alpha;
    const squared = dot(v, v);
    if (squared === 0) continue;
    const beta = 2 / squared;
    // A ← H·A·H with H = 1 - beta·v·vᵗ, as a rank-2 update.
    const p = new Float64Array(m);
    for (let i = 0; i < m; i++) {
      const row = (k + 1 + i) * n + k + 1;
      let sum = 0;
      for (let j = 0; j < m; j++) sum += a[row + j]! * v[j]!;
      p[i] = beta * sum;
    }
    const half = (beta * dot(p, v)) / 2;
    for (let i = 0; i < m; i++) p[i]! -= half * v[i]!;
    for (let i = 0; i < m; i++) {
      const row = (k + 1 + i) * n + k + 1;
      const vi = v[i]!;
      const pi = p[i]!;
      for (let j = 0; j < m; j++) a[row + j]! -= vi * p[j]! + pi * v[j]!;
    }
    reflectors.push({ k, v, beta });
  }
  diagonal[n - 1] = a[n * n - 1]!;
  return { diagonal, offDiagonal, vectors: accumulate(reflectors, n) };
}

/** Qᵗ for Q = H₀·H₁·…, row-major: transposed, because QL then turns pairs of rows. */
function accumulate(
  reflectors: readonly { k: number; v: Float64Array; beta: number }[],
  n: number,
): Float64Array {
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  for (const { k, v, beta } of [...reflectors].reverse()) {
    // Qᵗ ← Qᵗ·H touches the columns from k + 1 on; rows up to k are still those of the unit matrix.
    for (let row = k + 1; row < n; row++) {
      const at = row * n + k + 1;
      let sum = 0;
      for (let j = 0; j < v.length; j++) sum += q[at + j]! * v[j]!;
      sum *= beta;
      for (let j = 0; j < v.length; j++) q[at + j]! -= sum * v[j]!;
    }
  }
  return q;
}

/** @throws Error when a value needs more than 60 turns, which finite symmetric input does not */
function implicitQl(d: Float64Array, e: Float64Array, rows: Float64Array, n: number): void {
  e.copyWithin(0, 1);
  e[n - 1] = 0;
  for (let l = 0; l < n; l++) {
    for (let turn = 0; ; turn++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]!) > Number.EPSILON * (Math.abs(d[m]!) + Math.abs(d[m + 1]!))) m++;
      if (m === l) break;
      if (turn === 60) throw new Error('The eigenvalues of a channel statistic do not converge.');
      const g0 = (d[l + 1]! - d[l]!) / (2 * e[l]!);
      let g = d[m]! - d[l]! + e[l]! / (g0 + Math.sign(g0 || 1) * Math.hypot(g0, 1));
      let sine = 1;
      let cosine = 1;
      let p = 0;
      let i = m - 1;
      for (; i >= l; i--) {
        const f = sine * e[i]!;
        const b = cosine * e[i]!;
        const r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1]! -= p;
          e[m] = 0;
          break;
        }
        sine = f / r;
        cosine = g / r;
        g = d[i + 1]! - p;
        const t = (d[i]! - g) * sine + 2 * cosine * b;
        p = sine * t;
        d[i + 1] = g + p;
        g = cosine * t - b;
        turnRows(rows, i * n, n, sine, cosine);
      }
      if (i >= l) continue; // r was 0
      d[l]! -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
}

function turnRows(rows: Float64Array, at: number, n: number, sine: number, cosine: number): void {
  for (let k = at; k < at + n; k++) {
    const a = rows[k]!;
    const b = rows[k + n]!;
    rows[k + n] = sine * a + cosine * b;
    rows[k] = cosine * a - sine * b;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
