// A calibrated profile: what an isthmus frame may name instead of carrying it.
import { createHash } from 'node:crypto';
import { Bytes } from './bytes.ts';
import { makeTable, type Table } from './ransCoder.ts';
import { demand } from './refuse.ts';

/** A matrix as its rows. */
export type Matrix = readonly (readonly number[])[];

export interface Profile {
  /** Lower-case hexadecimal of the first 8 bytes of its SHA-256. */
  readonly name: string;
  readonly E: number;
  readonly rho: readonly [number, number];
  readonly C: number;
  readonly R: number;
  readonly block: readonly [rows: number, columns: number];
  readonly map: readonly [rows: number, columns: number];
  readonly means: readonly number[];
  /** The inverse channel transform, C × R, and its shift. */
  readonly back: Matrix | undefined;
  readonly backShift: number;
  readonly weights: readonly number[];
  readonly classes: Uint8Array | undefined;
  readonly tables: readonly Table[];
}

const repeat = <T>(count: number, read: () => T): T[] => Array.from({ length: count }, read);

/** Reads and checks a profile file. */
export function readProfile(file: Uint8Array): Profile {
  const bytes = new Bytes(file);
  const uint = (size: number) => bytes.uint(size, 'profile');
  const int = (size: number) => bytes.int(size, 'profile');
  demand(String.fromCharCode(...bytes.take(4, 'profile')) === 'ISPR', 'no profile');
  demand(uint(1) === 1, 'profile version');
  const bits = uint(1);
  demand(bits <= 3, 'profile bits');
  const channels = (bits & 1) !== 0;
  const sA = uint(1);
  const backShift = uint(1);
  const E = uint(1);
  uint(1); // The encoder's dead zone.
  const rho = [int(1), int(1)] as const;
  const [C, R] = [uint(2), uint(2)];
  const block = [uint(2), uint(2)] as const;
  const map = [uint(2), uint(2)] as const;
  const K = uint(2);
  demand(uint(2) === 0, 'profile reserved bytes');
  const step = uint(4);
  demand(sA <= 16 && backShift <= 16 && E >= 1 && E <= 254, 'profile shifts or E');
  demand(C >= 1 && C <= 4096 && R >= 1 && R <= C && (channels || R === C), 'profile C or R');
  for (const side of [0, 1]) {
    demand(block[side]! >= 1 && block[side]! <= 16 && map[side]! >= 1, 'profile block or map');
    demand(map[side] === 1 || map[side]! % block[side]! === 0, 'the block does not divide the map');
  }
  const mapSize = map[0] * map[1];
  demand(mapSize <= 65536 && R * mapSize <= 2 ** 24, 'profile map too large');
  demand((bits & 2) !== 0 ? K >= 1 && K <= 64 : K === 15, 'profile K');
  demand(step >= 1 && step <= 65536, 'profile step');

  const means = repeat(C, () => int(2));
  demand(
    means.every((m) => Math.abs(m) <= 16383),
    'profile mean',
  );
  let back: Matrix | undefined;
  if (channels) {
    demandRows(
      repeat(R, () => repeat(C, () => int(2))),
      65000,
    );
    back = repeat(C, () => repeat(R, () => int(2)));
    demandRows(back, 32000);
  }
  const weights = repeat(mapSize, () => uint(2));
  demand(
    weights.every((w) => w >= 1 && w <= 1023),
    'profile weight',
  );
  const classes = bits & 2 ? bytes.take(R * mapSize, 'profile classes') : undefined;
  const tables = repeat(K, () => {
    const frequency = repeat(27, () => uint(2));
    demand(
      frequency.every((f) => f >= 1),
      'profile frequency of 0',
    );
    demand(frequency.reduce((sum, f) => sum + f, 0) === 4096, 'profile table does not sum to 4096');
    return makeTable(frequency);
  });
  demand(bytes.left === 0, 'something follows the profile');
  const name = createHash('sha256').update(file).digest('hex').slice(0, 16);
  return { name, E, rho, C, R, block, map, means, back, backShift, weights, classes, tables };
}

function demandRows(matrix: Matrix, most: number): void {
  for (const row of matrix) {
    demand(row.reduce((sum, x) => sum + Math.abs(x), 0) <= most, 'profile row sum');
  }
}
