// No codec profile that is accepted can make the whole-number arithmetic overflow, however it is driven: the transforms against the
// same ones in doubles, at inputs as large as they can be.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { restoreBlocks, transformBlocks } from './cpu/isthmusBlocks.ts';
import { analyse, synthesise } from './cpu/isthmusChannels.ts';
import type { CodecProfile } from './profile.ts';
import { MADE_PROFILES, madeProfile } from './reference/isthmusProfiles.ts';
import { type IsthmusSetup, setupOf } from './reference/isthmusSetup.ts';
import { dctMatrix, forward, inverse } from './reference/isthmusTransform.ts';
import { randomBits } from './reference/vectors.ts';

/** Floor of an exact quotient, on numbers that a double holds. */
const shifted = (x: number, shift: number) => Math.floor(x / 2 ** shift);
const clamp = (x: number, limit: number) => Math.max(-limit, Math.min(limit, x));

/** The transforms once more, in doubles, where 2^31 is no limit; one batch. */
function exactly(setup: IsthmusSetup, direction: 'forward' | 'inverse', input: Int32Array): number[] {
  const { view, channels, rank, block, means, transform } = setup;
  const { rows, columns } = view;
  const area = rows * columns;
  const lines = (y: number[], size: number, stride: number, starts: number[]) => {
    const d = dctMatrix(size);
    for (const at of starts) {
      const z = Array.from({ length: size }, (_, i) => y[at + i * stride]!);
      z.forEach((_, k) => {
        const sum = z.reduce(
          (s, value, i) => s + d[direction === 'forward' ? k * size + i : i * size + k]! * value,
          0,
        );
        y[at + k * stride] = clamp(shifted(sum + 1024, 11), 2 ** 17);
      });
    }
  };
  const indices = Array.from({ length: setup.codedPlanes * area }, (_, i) => i);
  const across = (y: number[]) => {
    if (block[1] > 1)
      lines(
        y,
        block[1],
        1,
        indices.filter((i) => (i % columns) % block[1] === 0),
      );
  };
  const down = (y: number[]) => {
    const first = (i: number) => (Math.floor(i / columns) % rows) % block[0] === 0;
    if (block[0] > 1) lines(y, block[0], columns, indices.filter(first));
  };
  const half = (shift: number) => Math.floor(2 ** shift / 2);
  if (direction === 'forward') {
    const centred = Array.from(input, (x, i) => x - (means?.[Math.floor(i / area)] ?? 0));
    const y = transform
      ? indices.map((at) => {
          const r = Math.floor(at / area);
          let sum = half(transform.shiftA);
          for (let c = 0; c < channels; c++)
            sum += transform.analysis[r * channels + c]! * centred[c * area + (at % area)]!;
          return clamp(shifted(sum, transform.shiftA), 2 ** 16);
        })
      : centred;
    across(y);
    down(y);
    return y;
  }
  const y = Array.from(input);
  down(y);
  across(y);
  return Array.from({ length: channels * area }, (_, at) => {
    const c = Math.floor(at / area);
    if (!transform) return means![c]! + y[at]!;
    let sum = half(transform.shiftB);
    for (let r = 0; r < rank; r++)
      sum += transform.synthesis[c * rank + r]! * clamp(y[r * area + (at % area)]!, 2 ** 16);
    return means![c]! + shifted(sum, transform.shiftB);
  });
}

/** All four transforms at inputs as large as they can be, with the signs of one row of each matrix so that sums are largest. */
function expectExact(profile: CodecProfile, planes: 'aligned' | 'random', seed: number): void {
  const next = randomBits(seed);
  const [rows, columns] = profile.block;
  const shape = [profile.channels, rows, columns];
  const setup = setupOf(shape, profile);
  const area = rows * columns;
  const signOf = (matrix: Int16Array | undefined, at: number) =>
    planes === 'random' || !matrix ? (next() & 1 ? 1 : -1) : matrix[at]! < 0 ? -1 : 1;
  const x = Int32Array.from({ length: profile.channels * area }, (_, i) => {
    return 16383 * signOf(profile.transform?.analysis, Math.floor(i / area));
  });
  expect(Array.from(forward(x, setup))).toEqual(exactly(setup, 'forward', x));
  const fast = analyse(x.slice(), setup);
  transformBlocks(fast, setup);
  expect(Array.from(fast)).toEqual(exactly(setup, 'forward', x));

  const rowSign = (matrix: Int32Array, size: number, i: number) =>
    matrix[i * size + (seed % size)]! < 0 ? -1 : 1;
  const y = Int32Array.from({ length: profile.rank * area }, (_, i) => {
    const [row, column] = [Math.floor(i / columns) % rows, i % columns];
    const inBlock = rowSign(dctMatrix(rows), rows, row) * rowSign(dctMatrix(columns), columns, column);
    return (
      2 ** 17 *
      signOf(profile.transform?.synthesis, Math.floor(i / area)) *
      (planes === 'random' ? 1 : inBlock)
    );
  });
  const wanted = exactly(setup, 'inverse', y);
  expect(Array.from(inverse(y.slice(), setup))).toEqual(wanted);
  const back = new Int32Array(profile.channels * area);
  back.set(y);
  restoreBlocks(back.subarray(0, y.length), setup);
  synthesise(back, setup);
  expect(Array.from(back)).toEqual(wanted);
}

test.each(Object.entries(MADE_PROFILES))('%s: nothing overflows', (_, profile) => {
  for (let seed = 1; seed < 8; seed++) {
    expectExact(profile, 'aligned', seed);
    expectExact(profile, 'random', seed);
  }
});

test('every basis is even or odd, as the fast block transform takes it to be, and its rows are short enough', () => {
  for (let b = 1; b <= 16; b++) {
    const d = dctMatrix(b);
    for (let k = 0; k < b; k++) {
      let row = 0;
      let column = 0;
      for (let i = 0; i < b; i++) {
        expect(d[k * b + b - 1 - i]! - (k % 2 ? -d[k * b + i]! : d[k * b + i]!)).toBe(0);
        row += Math.abs(d[k * b + i]!);
        column += Math.abs(d[i * b + k]!);
        // The page of the format says that no machine can round a value the other way.
        const exact =
          2048 * Math.sqrt((k === 0 ? 1 : 2) / b) * Math.cos((Math.PI * (2 * i + 1) * k) / (2 * b));
        expect(Math.abs(Math.abs(exact - Math.trunc(exact)) - 0.5)).toBeGreaterThan(1e-4);
      }
      expect(Math.max(row, column) * 2 ** 17 + 1024).toBeLessThan(2 ** 31);
    }
  }
});

test('profiles at their limits: nothing overflows', () => {
  const limits = fc.record({
    channels: fc.integer({ min: 1, max: 40 }),
    rank: fc.integer({ min: 1, max: 40 }),
    block: fc.tuple(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 16 })),
    shifts: fc.tuple(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: 16 })),
    spread: fc.integer({ min: 1, max: 40 }),
    mean: fc.constantFrom(-16383, 0, 16383),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  fc.assert(
    fc.property(limits, ({ channels, rank: wanted, block, shifts, spread, mean, seed }) => {
      const rank = Math.min(wanted, channels);
      const next = randomBits(seed);
      /** Each row as full as it may be, spread over some of its columns. */
      const matrix = (rows: number, columns: number, limit: number) => {
        const used = Math.min(columns, Math.max(spread, Math.ceil(limit / 32767)));
        const share = Math.min(32767, Math.floor(limit / used));
        return Int16Array.from({ length: rows * columns }, (_, i) =>
          i % columns < used ? (next() & 1 ? share : -share) : 0,
        );
      };
      const profile = madeProfile(seed, {
        channels,
        rank,
        block,
        means: new Int16Array(channels).fill(mean),
        transform: {
          shiftA: shifts[0],
          shiftB: shifts[1],
          analysis: matrix(rank, channels, 65000),
          synthesis: matrix(channels, rank, 32000),
        },
      });
      expectExact(profile, 'aligned', seed);
      expectExact(profile, 'random', seed);
    }),
    { numRuns: 60 },
  );
});
