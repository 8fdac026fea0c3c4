// Profiles for tests of family `isthmus`, made up from seeds: every kind of transform, map and table, and the limits of each
// number. They compress nothing well. No assertion and nothing of Node here, so that browsers can use them.
import { type CodecProfile, NEIGHBOUR_TABLES, parseProfile, TOKENS, writeProfile } from '../profile.ts';
import { normalise } from './ransTable.ts';
import { randomBits } from './vectors.ts';

/** `count` tables from steep to flat, every token possible. */
function tablesOf(count: number): Uint16Array {
  const tables = new Uint16Array(count * TOKENS);
  for (let k = 0; k < count; k++) {
    let share = 1_000_000;
    const counts = Array.from({ length: TOKENS }, () => {
      share = Math.floor((share * (4 + Math.floor((27 * (k + 1)) / count))) / 32);
      return share + 1;
    });
    const table = normalise(counts);
    tables.set(table, k * TOKENS);
  }
  return tables;
}

/** ±2^shift/√C in the pattern of a Hadamard matrix: nearly orthonormal. C: 4, 16, 64 or 256. */
function hadamard(channels: number, rank: number, shift: number): Pick<CodecProfile, 'rank' | 'transform'> {
  const size = 2 ** shift / Math.sqrt(channels);
  const odd = (x: number) => x.toString(2).replaceAll('0', '').length % 2 === 1;
  const at = (r: number, c: number) => (odd(r & c) ? -size : size);
  const grid = (rows: number, columns: number, f: (row: number, column: number) => number) =>
    Int16Array.from({ length: rows * columns }, (_, i) => f(Math.floor(i / columns), i % columns));
  return {
    rank,
    transform: {
      shiftA: shift,
      shiftB: shift,
      analysis: grid(rank, channels, at),
      synthesis: grid(channels, rank, (c, r) => at(r, c)),
    },
  };
}

/** Numbers of both signs whose rows sum to `limit` in absolute values. */
function fullRows(rows: number, columns: number, limit: number, seed: number): Int16Array {
  const next = randomBits(seed);
  const share = Math.floor(limit / columns);
  return Int16Array.from({ length: rows * columns }, (_, i) => {
    const size = i % columns === 0 ? limit - share * (columns - 1) : share;
    return next() & 1 ? -size : size;
  });
}

const numbers = (count: number, seed: number, low: number, high: number) => {
  const next = randomBits(seed);
  return Array.from({ length: count }, () => low + (next() % (high - low + 1)));
};

type Wish = Partial<Omit<CodecProfile, 'name'>> & Pick<CodecProfile, 'channels'>;

/**
 * A profile that has been through its file.
 * @param seed also its name: a real one is a hash, but only `profileName` cares
 */
export function madeProfile(seed: number, wish: Wish): CodecProfile {
  const { map = [1, 1], classes } = wish;
  const file = writeProfile({
    exponent: 128,
    deadZone: 85,
    rho: [14, 30],
    rank: wish.channels,
    block: [1, 1],
    map,
    step: 700,
    means: Int16Array.from(numbers(wish.channels, seed, -900, 900)),
    weights: Uint16Array.from(numbers(map[0] * map[1], seed + 1, 64, 1023)),
    tables: tablesOf(classes ? 8 : NEIGHBOUR_TABLES),
    ...wish,
  });
  return parseProfile(file, seed.toString(16).padStart(16, '0'));
}

const classes = (count: number, seed: number, tables = 40) =>
  Uint8Array.from(numbers(count, seed, 0, tables));

export const MADE_PROFILES = {
  /** As calibration makes them: fewer coefficients than channels, blocks, classes for each frequency. */
  usual: madeProfile(1, {
    ...hadamard(16, 6, 13),
    channels: 16,
    block: [4, 4],
    map: [4, 4],
    classes: classes(6 * 16, 11),
    tables: tablesOf(40),
  }),
  /** All coefficients, neighbours. */
  neighbours: madeProfile(2, { ...hadamard(16, 16, 12), channels: 16, block: [7, 7] }),
  /** No channel transform. */
  plain: madeProfile(3, {
    channels: 8,
    block: [8, 2],
    map: [1, 4],
    weights: Uint16Array.of(200, 256, 300, 1023),
  }),
  /** Token-major: one plane, whose columns are the features. */
  tokens: madeProfile(4, { channels: 1, map: [1, 24], classes: classes(24, 14, 16), tables: tablesOf(16) }),
  /** A map of several blocks and as many tables as there can be. */
  wide: madeProfile(5, {
    ...hadamard(4, 3, 14),
    channels: 4,
    block: [8, 1],
    map: [16, 1],
    classes: classes(48, 15, 255),
    tables: tablesOf(64),
  }),
  /** One table; neither dead zone nor reconstruction points. */
  single: madeProfile(6, {
    channels: 2,
    block: [2, 16],
    classes: Uint8Array.of(0, 255),
    tables: tablesOf(1),
    deadZone: 0,
    rho: [0, 0],
    step: 1,
  }),
  /** Every number at its limit: sums that come as near to 2^31 as they can. */
  extreme: madeProfile(7, {
    channels: 32,
    rank: 32,
    block: [16, 16],
    means: Int16Array.from(numbers(32, 17, 0, 1), (x) => (x ? 16383 : -16383)),
    transform: {
      shiftA: 0,
      shiftB: 0,
      analysis: fullRows(32, 32, 65000, 18),
      synthesis: fullRows(32, 32, 32000, 19),
    },
    weights: Uint16Array.of(1023),
    deadZone: 255,
    rho: [127, -128],
    step: 65536,
    exponent: 254,
  }),
  /** The same with the largest shifts, and steps of 1. */
  fine: madeProfile(8, {
    channels: 32,
    rank: 8,
    transform: {
      shiftA: 16,
      shiftB: 16,
      analysis: fullRows(8, 32, 65000, 20),
      synthesis: fullRows(32, 8, 32000, 21),
    },
    weights: Uint16Array.of(1),
    rho: [-128, 127],
    step: 1,
    exponent: 1,
  }),
} as const;
export type MadeProfile = keyof typeof MADE_PROFILES;

/** Finds one by name, for decoders. */
export function madeProfileByName(name: string): CodecProfile | undefined {
  return Object.values(MADE_PROFILES).find((profile) => profile.name === name);
}
