// From quantised coefficients to whole-number values: dequantiser, inverse block transform, inverse channel transform.
// All numbers are whole and far below 2^53, so doubles are exact; `shifted` is `>>` without its 32 bits.
import type { Isthmus } from './isthmusParams.ts';

const clamp = (x: number, most: number): number => Math.max(-most, Math.min(most, x));
const shifted = (x: number, bits: number): number => Math.floor(x / 2 ** bits);

/** Dequantised coefficients in place of quantised ones. */
export function dequantise(q: Int32Array, { H, W, map, weights, step, rho }: Isthmus): void {
  q.forEach((signed, i) => {
    const magnitude = Math.abs(signed);
    if (magnitude === 0) return;
    const y = Math.floor(i / W) % H;
    const weight = weights[(y % map[0]) * map[1] + ((i % W) % map[1])]!;
    const d = Math.max(1, shifted(step * weight + 128, 8));
    const moved = magnitude * d + shifted(rho[magnitude === 1 ? 0 : 1] * d + 128, 8);
    q[i] = Math.sign(signed) * clamp(Math.max(0, moved), 2 ** 17);
  });
}

/** D[k][i] of a block side. */
function cosines(b: number): number[][] {
  return Array.from({ length: b }, (_, k) =>
    Array.from({ length: b }, (_, i) =>
      Math.round(2048 * Math.sqrt((k === 0 ? 1 : 2) / b) * Math.cos((Math.PI * (2 * i + 1) * k) / (2 * b))),
    ),
  );
}

/** The inverse block transform in place: columns of each block first, then its rows. */
export function invertBlocks(z: Int32Array, { W, block }: Isthmus): void {
  const along = (b: number, stride: number, starts: (i: number) => boolean): void => {
    if (b === 1) return;
    const D = cosines(b);
    for (let start = 0; start < z.length; start++) {
      if (!starts(start)) continue;
      const line = Array.from({ length: b }, (_, k) => z[start + k * stride]!);
      for (let i = 0; i < b; i++) {
        const sum = line.reduce((sum, value, k) => sum + D[k]![i]! * value, 0);
        z[start + i * stride] = clamp(shifted(sum + 1024, 11), 2 ** 17);
      }
    }
  };
  // H is a multiple of the block's rows, so rows counted through all planes start blocks at the same places.
  along(block[0], W, (i) => Math.floor(i / W) % block[0] === 0);
  along(block[1], 1, (i) => (i % W) % block[1] === 0);
}

/** The values X before the last clamp, groups·C planes: inverse channel transform and means. */
export function invertChannels(y: Int32Array, { groups, C, R, H, W, profile }: Isthmus): Float64Array {
  const size = H * W;
  const X = new Float64Array(groups * C * size);
  const half = profile ? Math.floor(2 ** profile.backShift / 2) : 0;
  for (let plane = 0; plane < groups * C; plane++) {
    const c = plane % C;
    const group = Math.floor(plane / C);
    for (let i = 0; i < size; i++) {
      const mean = profile?.means[c] ?? 0;
      if (profile?.back) {
        const sum = profile.back[c]!.reduce(
          (sum, b, r) => sum + b * clamp(y[(group * R + r) * size + i]!, 2 ** 16),
          0,
        );
        X[plane * size + i] = mean + shifted(sum + half, profile.backShift);
      } else {
        X[plane * size + i] = mean + y[plane * size + i]!;
      }
    }
  }
  return X;
}

/** The elements as float32 numbers. */
export function toFloats(X: Float64Array, { E, nonnegative }: Isthmus): Float32Array {
  // Where E is 254, twice as much would be beyond float32.
  const most = E === 254 ? 8191 : 16383;
  return Float32Array.from(X, (x) => (nonnegative && x < 0 ? 0 : clamp(x, most) * 2 ** (E - 139)));
}
