// Is FORMAT.md complete? A decoder written from that page alone (e2e/secondDecoder, which imports nothing of Isthmus) reads
// every committed vector, every kind of frame and token, and tens of thousands of damaged ones; it has to accept what
// Isthmus' own decoder accepts, with the same bytes, and to refuse the rest.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeTensor as secondDecode } from '../../e2e/secondDecoder/decodeTensor.ts';
import { readFrame as secondRead } from '../../e2e/secondDecoder/frame.ts';
import { readProfile, type Profile as SecondProfile } from '../../e2e/secondDecoder/profile.ts';
import { Refused } from '../../e2e/secondDecoder/refuse.ts';
import { openContext, readToken } from '../../e2e/secondDecoder/token.ts';
import { elementCount, tensorBytes } from '../tensor.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeTokenFrame } from '../wire/tokenFrame.ts';
import { frameOf, makeSeeds, mixedTensors, PICTURE, vectorTensors } from './hostileSeeds.fixture.ts';
import {
  decode,
  decodeFrame,
  encodeFrame,
  openTokens,
  parseProfile,
  profileName,
  readTokens,
  writeProfile,
} from './index.ts';
import { mutateBytes, mutateFrame, pick } from './mutate.fixture.ts';
import { codeOf, outcomeOf } from './outcome.fixture.ts';
import { LIMITS, PRESETS, type PresetName } from './params.ts';
import { MADE_PROFILES, madeProfileByName } from './reference/isthmusProfiles.ts';
import { randomBits } from './reference/vectors.ts';

const FRAME_BYTES = LIMITS.outputBytes + LIMITS.headerBytes;
/** The second decoder is not meant to be fast, so frames that declare more are not compared. */
const COMPARED_ELEMENTS = 20_000;

const FRAMES = 20_000;
const TOKENS = 12_000;

/** The made-up profiles carry made-up names; otherwise they are read from their files. */
const profiles = new Map<string, SecondProfile>(
  Object.values(MADE_PROFILES).map(({ name, ...profile }) => [
    name,
    { ...readProfile(writeProfile(profile)), name },
  ]),
);
const ours = { profiles: madeProfileByName };

/** Its value; undefined for what it refuses. Any other error than its own is a defect of it. */
function secondly<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

const second = (bytes: Uint8Array) =>
  secondly(() => {
    const frame = secondRead(bytes, FRAME_BYTES);
    return { frame, elements: frame.tensors.map((t) => secondDecode(t, profiles)) };
  });

/** What Isthmus makes of a frame: bytes of each tensor; undefined where it refuses. */
const first = (bytes: Uint8Array) =>
  outcomeOf(() => decodeFrame(bytes, ours).tensors.map((t) => new Uint8Array(tensorBytes(t)))).value;

function expectSame(bytes: Uint8Array, what: string): boolean {
  const [one, two] = [first(bytes), second(bytes)];
  const shown = () => Buffer.from(bytes).toString('base64');
  if ((one === undefined) !== (two === undefined))
    expect.fail(`${what}: Isthmus ${one ? 'accepts' : 'refuses'}, the second decoder does not: ${shown()}`);
  one?.forEach((elements, i) => {
    if (Buffer.compare(elements, two!.elements[i]!) !== 0)
      expect.fail(`${what}, tensor ${i}: other values: ${shown()}`);
  });
  return one !== undefined;
}

test('it stands alone: nothing of Isthmus is imported', () => {
  const folder = new URL('../../e2e/secondDecoder/', import.meta.url);
  const files = readdirSync(folder);
  expect(files.length).toBeGreaterThan(10);
  for (const file of files)
    for (const [, from] of readFileSync(new URL(file, folder), 'utf8').matchAll(
      /(?:from|import\()\s*'([^']+)'/g,
    ))
      expect(from, file).toMatch(/^(\.\/\w+\.ts|node:crypto)$/);
});

describe.each(Object.entries(vectorTensors()))('family %s', (_, vectors) => {
  test.each(vectors)('vector $name', ({ tensor }) => {
    expect(expectSame(frameOf(tensor), 'float32')).toBe(true);
    expect(expectSame(frameOf({ ...tensor, dtype: 'float16' }), 'float16')).toBe(true);
  });
});

test('sound frames: every element type, every preset, several tensors', () => {
  const { frames } = makeSeeds();
  for (const [family, all] of Object.entries(frames))
    for (const frame of all) {
      const { frame: header, elements } = second(frame) ?? expect.fail(`${family} is refused`);
      const { tensors, ...rest } = readFrame(frame);
      expect({ ...header, modelTag: Buffer.from(header.modelTag).toString('hex') }).toMatchObject(rest);
      expect(header.tensors.map(({ type, ...t }) => ({ ...t, dtype: type }))).toEqual(tensors);
      tensors.forEach((tensor, i) => {
        const wanted = tensor.family === 'image' ? tensor.payload : tensorBytes(decode(tensor, ours));
        expect(Buffer.compare(elements[i]!, wanted), family).toBe(0);
      });
    }
});

test('the picture of FORMAT.md is read, others are not', () => {
  const reads = (change: object) => second(frameOf({ ...PICTURE, ...change })) !== undefined;
  expect(reads({})).toBe(true);
  for (const params of [
    [3, 0, 0, 0],
    [0, 2, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
    [0, 0, 0],
    [0, 0, 0, 0, 0],
  ])
    expect(reads({ params: Uint8Array.from(params) })).toBe(false);
});

test('files of profiles: the same are accepted, of thousands', async () => {
  const random = randomBits(20_261_125);
  const files = Object.values(MADE_PROFILES).map(({ name: _, ...profile }) => writeProfile(profile));
  for (const file of files) expect(readProfile(file).name).toBe(await profileName(file));
  const counts = { accepted: 0, refused: 0 };
  for (let n = 0; n < 6000; n++) {
    const bytes = mutateBytes(pick(files, random), pick(files, random), random);
    const one = codeOf(() => parseProfile(bytes, '0'.repeat(16))) === 'accepted';
    const two = secondly(() => readProfile(bytes)) !== undefined;
    if (one !== two)
      expect.fail(`case ${n}: Isthmus ${one}, second ${two}: ${Buffer.from(bytes).toString('base64')}`);
    counts[one ? 'accepted' : 'refused']++;
  }
  expect(counts.accepted).toBeGreaterThan(200);
  expect(counts.refused).toBeGreaterThan(1000);
});

test('damaged frames: the same are accepted, with the same values', () => {
  const random = randomBits(20_261_126);
  const { frames } = makeSeeds(600);
  const donors = Object.values(frames).flat();
  const counts = { accepted: 0, refused: 0, large: 0, pictures: 0 };
  for (let n = 0; n < FRAMES; n++) {
    const bytes = mutateFrame(
      pick(pick(Object.values(frames), random), random),
      pick(donors, random),
      random,
    );
    const read = outcomeOf(() => readFrame(bytes)).value;
    const declared = read?.tensors.reduce((sum, t) => sum + elementCount(t.shape), 0) ?? 0;
    if (declared > COMPARED_ELEMENTS) counts.large++;
    else if (read?.tensors.some((t) => t.family === 'image')) {
      // Isthmus decodes pictures elsewhere, so here the frame's own rules are compared.
      if (!secondly(() => secondRead(bytes, FRAME_BYTES))) expect.fail(`case ${n}: Isthmus reads the frame`);
      counts.pictures++;
    } else counts[expectSame(bytes, `case ${n}`) ? 'accepted' : 'refused']++;
  }
  console.info(`${FRAMES} damaged frames, both decoders:`, counts);
  expect(counts.accepted).toBeGreaterThan(2000);
  expect(counts.refused).toBeGreaterThan(5000);
});

describe('token frames', () => {
  const presets = Object.keys(PRESETS) as PresetName[];

  test.each(presets)('a context of %s', (codec) => {
    const writer = openTokens(mixedTensors(0), { codec, context: 5 });
    const reader = readTokens(writer.opening);
    const context = openContext(secondRead(writer.opening))!;
    for (let n = 1; n < 300; n++) {
      const token = writer.encode(mixedTensors(n % 3));
      const wanted = reader.decode(token).map((t) => Buffer.from(tensorBytes(t)));
      const got = readToken(token, context).map((t) => Buffer.from(secondDecode(t)));
      expect(got).toEqual(wanted);
      expect(() => readToken(token, context)).toThrow(Refused); // repeated
    }
  });

  test('with a profile', () => {
    const { tokens } = MADE_PROFILES;
    const state = (seed: number) => {
      const random = randomBits(seed);
      return {
        dtype: 'float32',
        shape: [1, 24],
        data: Float32Array.from({ length: 24 }, () => random() / 2 ** 31 - 1),
      } as const;
    };
    const writer = openTokens([state(1)], { codec: { family: 'isthmus', profile: tokens } });
    const reader = readTokens(writer.opening, ours);
    const context = openContext(secondRead(writer.opening))!;
    for (let n = 2; n < 40; n++) {
      const token = writer.encode([state(n)]);
      const [got] = readToken(token, context).map((t) => secondDecode(t, profiles));
      expect(Buffer.compare(got!, tensorBytes(reader.decode(token)[0]!))).toBe(0);
    }
  });

  test.each([{}, { token: null }, { token: {} }, { token: { context: 8 } }, { token: { context: '0' } }])(
    'meta %j opens none',
    (meta) => {
      const frame = encodeFrame(mixedTensors(0), { meta });
      expect(codeOf(() => readTokens(frame))).toBe('FRAME_INVALID');
      expect(secondly(() => openContext(secondRead(frame)))).toBeUndefined();
    },
  );

  test('damaged ones: the same are accepted, with the same values', () => {
    const random = randomBits(20_261_127);
    const { tokens } = makeSeeds(0);
    const counts = { accepted: 0, refused: 0 };
    for (let n = 0; n < TOKENS; n++) {
      const { opening, context, token } = pick(tokens, random);
      const donor = pick(tokens, random).token;
      const place = { context, opening: new DataView(opening.buffer).getUint32(12, true), sequence: 1 };
      const bytes =
        random() % 4 === 0
          ? mutateBytes(token, donor, random)
          : writeTokenFrame(place, {
              same: random() % 3 ? (token[0]! & 2) !== 0 : random() % 2 === 0,
              body: mutateBytes(token.subarray(8), donor.subarray(8), random),
            });
      const one = outcomeOf(() =>
        readTokens(opening)
          .decode(bytes)
          .map((t) => Buffer.from(tensorBytes(t))),
      ).value;
      const two = secondly(() =>
        readToken(bytes, openContext(secondRead(opening))!).map((t) => Buffer.from(secondDecode(t))),
      );
      if (
        (one === undefined) !== (two === undefined) ||
        one?.some((t, i) => Buffer.compare(t, two![i]!) !== 0)
      )
        expect.fail(
          `case ${n}: ${one ? 'accepted' : 'refused'} by Isthmus: ${Buffer.from(bytes).toString('base64')}`,
        );
      counts[one ? 'accepted' : 'refused']++;
    }
    console.info(`${TOKENS} damaged tokens, both decoders:`, counts);
    expect(counts.accepted).toBeGreaterThan(500);
    expect(counts.refused).toBeGreaterThan(2000);
  });
});
