// Codec profiles: what is written is read again, a name is a hash, a stranger's file is refused with typed errors
// (profileRange.test.ts: what is accepted cannot overflow).
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { decodeIsthmus } from './cpu/decodeIsthmus.ts';
import { encodeIsthmus } from './cpu/encodeIsthmus.ts';
import { planIsthmus } from './isthmusPlan.ts';
import { type CodecProfile, misfit, parseProfile, profileName, writeProfile } from './profile.ts';
import { MADE_PROFILES } from './reference/isthmusProfiles.ts';
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
