// A stranger's `isthmus` tensors, one refusal per rule of FORMAT.md from the fast decoder and the reference, every bit of a
// stream, and large claims. Random damage: hostile.test.ts. Files of profiles: profile.test.ts.
import { expect, test } from 'vitest';
import { elementCount } from '../tensor.ts';
import { decodeTensor } from './cpu/decode.ts';
import { encodeIsthmus } from './cpu/encodeIsthmus.ts';
import { planIsthmus } from './isthmusPlan.ts';
import { codeOf } from './outcome.fixture.ts';
import type { EncodedTensor } from './params.ts';
import { decodeIsthmus } from './reference/decodeIsthmus.ts';
import { MADE_PROFILES, madeProfileByName } from './reference/isthmusProfiles.ts';
import { channels } from './reference/ransVectors.ts';

const profiles = madeProfileByName;

const fastly = (tensor: EncodedTensor) => codeOf(() => decodeTensor(tensor, { profiles }));
const slowly = (tensor: EncodedTensor) =>
  codeOf(() => decodeIsthmus(tensor, elementCount(tensor.shape), profiles));

const encoded = (shape: readonly number[], change: object = {}) =>
  encodeIsthmus(channels(elementCount(shape), 64, 3), shape, {
    ...planIsthmus({ family: 'isthmus' }),
    ...change,
  });
const plain = encoded([3, 8, 8], { lanes: 2 });
const sending = encoded([3, 8, 8], { sentTables: true });
const classed = encoded([16, 8, 8], { profile: MADE_PROFILES.usual });
const neighbouring = encoded([16, 7, 7], { profile: MADE_PROFILES.neighbours });
const fromParams = (tensor: EncodedTensor, at: number, ...values: number[]): EncodedTensor => {
  const params = tensor.params.slice();
  params.set(values, at);
  return { ...tensor, params };
};

test('what is changed below is accepted as it is', () => {
  for (const tensor of [plain, sending, classed, neighbouring]) expect(fastly(tensor)).toBe('accepted');
});

test.each<[string, EncodedTensor]>([
  ['profile and sent tables', fromParams(plain, 0, 3)],
  ['a reserved bit', fromParams(plain, 0, 8)],
  ['2048 lanes', fromParams(plain, 1, 11)],
  ['more lanes than rows', fromParams(plain, 1, 5)],
  ['shift without classes', fromParams(plain, 2, 255)],
  ['shift with a profile of neighbours', fromParams(neighbouring, 2, 1)],
  ['the reserved byte', fromParams(plain, 3, 1)],
  ['a step of 0', fromParams(plain, 4, 0, 0, 0, 0)],
  ['a step of 65537', fromParams(plain, 4, 1, 0, 1, 0)],
  ['E = 0', fromParams(plain, 8, 0)],
  ['E = 255', fromParams(plain, 8, 255)],
  ['blocks of 0 rows', fromParams(plain, 9, 0)],
  ['blocks of 17 columns', fromParams(plain, 10, 17)],
  ['blocks that do not divide', fromParams(plain, 9, 7)],
  ['the byte after the block', fromParams(plain, 11, 1)],
  ['the last byte', fromParams(plain, 15, 1)],
  ['params cut short', { ...plain, params: plain.params.slice(0, 15) }],
  ['a byte after the params', { ...plain, params: Uint8Array.from([...plain.params, 0]) }],
  ['a byte after the tables', { ...sending, params: Uint8Array.from([...sending.params, 0]) }],
  ['tables cut short', { ...sending, params: sending.params.slice(0, -1) }],
  [
    'only empty tables',
    { ...sending, params: Uint8Array.from([...sending.params.slice(0, 16), ...new Uint8Array(60)]) },
  ],
  ['a token above 26', fromParams(sending, 19, 0xff)],
  ['a profile that nobody knows', fromParams(classed, 8, 0xff)],
  ['a byte after the name', { ...classed, params: Uint8Array.from([...classed.params, 0]) }],
  ['a shape that its profile does not fit', { ...classed, shape: [16, 8, 6] }],
  ['planes that its profile does not fit', { ...classed, shape: [8, 8, 16] }],
  ['no element, not constant', { ...plain, shape: [3, 0, 8] }],
  ['a flag nobody knows', { ...plain, flags: 8 }],
  ['a payload that ends within a word', { ...plain, payload: plain.payload.slice(0, -1) }],
  ['no payload', { ...plain, payload: new Uint8Array(0) }],
  ['a constant with a sign', { ...plain, flags: 5, params: new Uint8Array(4), payload: new Uint8Array(0) }],
  [
    'a constant that is infinite',
    { ...plain, flags: 1, params: Uint8Array.of(0, 0, 0x80, 0x7f), payload: new Uint8Array(0) },
  ],
  [
    'a constant with a payload',
    { ...plain, flags: 1, params: new Uint8Array(4), payload: new Uint8Array(2) },
  ],
])('%s: FRAME_INVALID from both', (_, tensor) => {
  expect(fastly(tensor)).toBe('FRAME_INVALID');
  expect(slowly(tensor)).toBe('FRAME_INVALID');
});

test('a stream without raw bits cannot change without being noticed: every single bit of it', () => {
  // A changed raw bit, a sign for instance, makes the stream of another tensor, which nobody but a frame's checksum can tell.
  const seed = encodeIsthmus(
    channels(1536, 64, 3, 0.1),
    [24, 8, 8],
    planIsthmus({ family: 'isthmus', transform: 'none' }),
  );
  expect(seed.flags).toBe(0);
  expect(seed.payload.length).toBeGreaterThan(200);
  for (let bit = 0; bit < 8 * seed.payload.length; bit++) {
    const payload = seed.payload.slice();
    payload[bit >> 3]! ^= 1 << (bit & 7);
    // A lane misses a change with a chance of about 2^-16, so of some thousand changes none is expected to pass.
    if (fastly({ ...seed, payload }) !== 'FRAME_INVALID') expect.fail(`bit ${bit}`);
  }
});

test('without a lookup no profile is known', () => {
  expect(codeOf(() => decodeTensor(classed))).toBe('FRAME_INVALID');
});

test('the largest claim in the smallest tensor: its own output and little more, in no time worth mentioning', () => {
  // One table whose only token is 0, for every coefficient: 2^24 zeros in four bytes of payload.
  const zeros = encoded([2, 16, 16], { sentTables: true, step: { kind: 'fixed', step: 65536 } });
  expect(zeros.payload.length).toBe(4);
  const before = process.memoryUsage().arrayBuffers;
  const start = process.cpuUsage();
  const huge = decodeTensor({ ...zeros, shape: [256, 256, 256] });
  const spent = process.cpuUsage(start).user / 1000;
  const allocated = process.memoryUsage().arrayBuffers - before;
  console.info(`2^24 zeros: ${spent.toFixed(0)} ms, ${(allocated / 2 ** 20).toFixed(1)} MiB`);
  expect(huge.data.every((x) => x === 0)).toBe(true);
  expect(spent).toBeLessThan(5000);
  expect(allocated).toBeLessThan(2 ** 26 + 2 ** 22);
  // The same size with a payload that gives up at once.
  const code = codeOf(() => decodeTensor({ ...plain, shape: [256, 256, 256] }));
  expect(code).toBe('FRAME_INVALID');
});

test('a shape without elements is refused before anything is computed from it', () => {
  const code = fastly({ ...plain, shape: [0x7fffffff, 0x7fffffff, 0, 4] });
  expect(code).toBe('FRAME_INVALID');
  expect(fastly({ ...plain, shape: [0x7fffffff, 0x7fffffff, 4] })).toBe('TOO_LARGE');
});
