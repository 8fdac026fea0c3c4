// Codec profiles: what is written is read again, a name is a hash, a stranger's file is refused with typed errors, and nothing
// that is accepted can make the whole-number arithmetic overflow, however it is driven.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { decodeIsthmus } from './cpu/decodeIsthmus.ts';
import { encodeIsthmus } from './cpu/encodeIsthmus.ts';
import { restoreBlocks, transformBlocks } from './cpu/isthmusBlocks.ts';
import { analyse, synthesise } from './cpu/isthmusChannels.ts';
import { planIsthmus } from './isthmusPlan.ts';
import { type CodecProfile, misfit, parseProfile, profileName, writeProfile } from './profile.ts';
import { MADE_PROFILES, madeProfile } from './reference/isthmusProfiles.ts';
import { type IsthmusSetup, setupOf } from './reference/isthmusSetup.ts';
import { dctMatrix, forward, inverse } from './reference/isthmusTransform.ts';
import { randomBits } from './reference/vectors.ts';

const profiles = Object.entries(MADE_PROFILES);
const NAME = '0123456789abcdef';
const refusal = expect.objectContaining({ name: 'IsthmusError', code: 'CODEC_INVALID' });

test.each(profiles)('%s: written and read', (_, profile) => {
  const { name, ...content } = profile;
  expect(parseProfile(writeProfile(content), name)).toEqual(profile);
});

test('a profile at an odd address is read the same', () => {
  const file = writeProfile(MADE_PROFILES.usual);
  const moved = new Uint8Array(file.length + 1);
  moved.set(file, 1);
  expect(parseProfile(moved.subarray(1), MADE_PROFILES.usual.name)).toEqual(MADE_PROFILES.usual);
});

test('the name is the beginning of the SHA-256', async () => {
  const file = writeProfile(MADE_PROFILES.tokens);
  const sha256 = createHash('sha256').update(file).digest('hex');
  expect(await profileName(file)).toBe(sha256.slice(0, 16));
});

describe('refusals', () => {
  const { usual, neighbours, plain, tokens } = MADE_PROFILES;
  const changed = (profile: CodecProfile, change: Partial<CodecProfile>) =>
    writeProfile({ ...profile, ...change });
  const withBytes = (at: number, ...values: number[]) => {
    const file = writeProfile(usual);
    file.set(values, at);
    return file;
  };
  const row = (limit: number) =>
    Int16Array.from({ length: 6 * 16 }, (_, i) => (i < 16 ? Math.ceil(limit / 16) : 0));
  test.each<[string, Uint8Array]>([
    ['no profile', new TextEncoder().encode('this is a text of more than thirty-two bytes')],
    ['nothing', new Uint8Array(0)],
    ['a header cut short', writeProfile(usual).subarray(0, 31)],
    ['a file cut short', writeProfile(usual).subarray(0, -1)],
    ['a byte too much', Uint8Array.from([...writeProfile(usual), 0])],
    ['version 2', withBytes(4, 2)],
    ['a reserved bit', withBytes(5, 7)],
    ['the reserved field', withBytes(26, 1)],
    ['sA = 17', withBytes(6, 17)],
    ['sB = 17', withBytes(7, 17)],
    ['E = 0', changed(usual, { exponent: 0 })],
    ['E = 255', changed(usual, { exponent: 255 })],
    ['a step of 0', changed(usual, { step: 0 })],
    ['a step of 65537', changed(usual, { step: 65537 })],
    ['C = 0', changed(plain, { channels: 0, rank: 0, means: new Int16Array(0) })],
    [
      'R = 0',
      changed(usual, {
        rank: 0,
        transform: { ...usual.transform!, analysis: new Int16Array(0), synthesis: new Int16Array(0) },
        classes: new Uint8Array(0),
      }),
    ],
    ['R above C', withBytes(12, 5, 0)],
    ['R other than C without a transform', changed(plain, { rank: 7 })],
    ['blocks of 0 rows', changed(plain, { block: [0, 2] })],
    ['blocks of 17 columns', changed(plain, { block: [8, 17] })],
    [
      'a map of no row',
      changed(tokens, { map: [0, 24], weights: new Uint16Array(0), classes: new Uint8Array(0) }),
    ],
    [
      'a map that its blocks do not divide',
      changed(plain, { map: [12, 1], weights: new Uint16Array(12).fill(256) }),
    ],
    ['a map of 65537', changed(tokens, { map: [257, 256] })],
    ['a weight of 0', changed(plain, { weights: Uint16Array.of(0, 1, 1, 1) })],
    ['a weight of 1024', changed(plain, { weights: Uint16Array.of(1, 1, 1, 1024) })],
    ['a mean of 16384', changed(tokens, { means: Int16Array.of(16384) })],
    ['a mean of -32768', changed(tokens, { means: Int16Array.of(-32768) })],
    ['no table', changed(tokens, { tables: new Uint16Array(0) })],
    ['65 tables', changed(tokens, { tables: new Uint16Array(27 * 65).fill(151) })],
    ['14 tables with neighbours', changed(neighbours, { tables: neighbours.tables.slice(27) })],
    [
      'a frequency of 0',
      changed(tokens, { tables: tokens.tables.map((f, i) => (i === 0 ? f + 1 : i === 1 ? 0 : f)) }),
    ],
    [
      'a table that sums to 4097',
      changed(tokens, { tables: tokens.tables.map((f, i) => (i === 0 ? f + 1 : f)) }),
    ],
    ['a row of A above 65000', changed(usual, { transform: { ...usual.transform!, analysis: row(65008) } })],
    [
      'a row of B above 32000',
      changed(usual, {
        transform: {
          ...usual.transform!,
          synthesis: Int16Array.from({ length: 96 }, (_, i) => (i < 6 ? 5334 : 0)),
        },
      }),
    ],
  ])('%s', (_, file) => {
    expect(() => parseProfile(file, NAME)).toThrowError(refusal);
  });

  test.each(['', '0123', '0123456789ABCDEF', '0123456789abcdef0'])("the name '%s'", (name) => {
    expect(() => parseProfile(writeProfile(usual), name)).toThrowError(refusal);
  });
});

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

describe('nothing overflows', () => {
  test.each(profiles)('%s', (_, profile) => {
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

  test('profiles at their limits', () => {
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
});

test('changed files are refused with typed errors or do their work', () => {
  const random = randomBits(20_261_123);
  const files = profiles.map(([, profile]) => writeProfile(profile));
  const outcomes = { refused: 0, accepted: 0 };
  for (let n = 0; n < 6000; n++) {
    const file = files[random() % files.length]!.slice();
    for (let changes = 1 + (random() % 2); changes > 0; changes--) {
      // Most of a file is matrices and tables, where hardly any change goes through.
      const at = random() % (random() % 4 ? 32 : file.length);
      if (random() % 2) file[at] = random();
      else file[at]! ^= 1 << (random() & 7);
    }
    let profile: CodecProfile;
    try {
      profile = parseProfile(file, NAME);
      outcomes.accepted++;
    } catch (e) {
      if (!(e instanceof IsthmusError) || e.code !== 'CODEC_INVALID') throw e;
      outcomes.refused++;
      continue;
    }
    const [bh, bw] = profile.block;
    const shape = [profile.channels, bh, bw];
    const count = profile.channels * bh * bw;
    expect(misfit({ planes: profile.channels, rows: bh, columns: bw }, profile)).toBeUndefined();
    const data = Float32Array.from({ length: count }, () => (random() % 2001) - 1000);
    const encoded = encodeIsthmus(data, shape, planIsthmus({ family: 'isthmus', profile }));
    const back = decodeIsthmus(encoded, count, () => profile);
    expect(back.every(Number.isFinite)).toBe(true);
  }
  console.info('6000 changed profiles:', outcomes);
  expect(outcomes.accepted).toBeGreaterThan(500);
  expect(outcomes.refused).toBeGreaterThan(500);
});
