// 95 % intervals of what is measured on a sample of pictures: Wilson's for shares, the normal one for means.

const Z = 1.96;

export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** Wilson's score interval (1927) of `hits` among `count`; without a trial everything is possible. */
export function wilson(hits: number, count: number): Interval {
  if (count === 0) return { value: 0, low: 0, high: 1 };
  const share = hits / count;
  const scale = 1 / (1 + Z ** 2 / count);
  const centre = scale * (share + Z ** 2 / (2 * count));
  const half = scale * Z * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2));
  return { value: share, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/**
 * Whether `hits` among `count` show that the share is at least `share`: whether the one-sided lower limit of Clopper and Pearson
 * (1934) lies there or above. It promises no less than it says, whatever the count.
 */
export function isAtLeast(hits: number, count: number, share: number, confidence: number): boolean {
  return hits > share * count && orMore(hits, count, share) <= 1 - confidence;
}

/** Probability of `hits` or more among `count`, summed over misses, of which there are few. */
function orMore(hits: number, count: number, share: number): number {
  let term = count * Math.log(share);
  let sum = 0;
  for (let misses = 0; misses <= count - hits; misses++) {
    sum += Math.exp(term);
    term += Math.log((count - misses) / (misses + 1)) + Math.log((1 - share) / share);
  }
  return sum;
}

/** Mean ± 1.96·s/√n. */
export function meanInterval(values: readonly number[]): Interval {
  const n = values.length;
  const value = values.reduce((a, b) => a + b, 0) / Math.max(1, n);
  const variance = values.reduce((sum, x) => sum + (x - value) ** 2, 0) / Math.max(1, n - 1);
  const half = Z * Math.sqrt(variance / Math.max(1, n));
  return { value, low: value - half, high: value + half };
}
