// A stranger's `rans` tensors, one refusal per rule of FORMAT.md from the fast decoder and the reference, every bit of a stream,
// and large claims. Random damage: hostile.test.ts.
import { expect, test } from 'vitest';
import { decodeTensor } from './cpu/decode.ts';
import { encodeRans } from './cpu/encodeRans.ts';
import { codeOf } from './outcome.fixture.ts';
import type { EncodedTensor } from './params.ts';
import { decodeRans } from './reference/decodeRans.ts';
import { RANS_VECTORS } from './reference/ransVectors.ts';

const seeds = RANS_VECTORS.filter((v) => v.shape.reduce((a, b) => a * b) <= 700 && !v.refused).map((v) =>
  encodeRans(v.data(), v.shape, v.plan),
);

test('a stream cannot change without being noticed: every single bit of the words', () => {
  const seed = seeds.find((s) => s.payload.length > 60)!;
  let refused = 0;
  for (let bit = 0; bit < 8 * seed.payload.length; bit++) {
    const payload = seed.payload.slice();
    payload[bit >> 3]! ^= 1 << (bit & 7);
    const code = codeOf(() => decodeTensor({ ...seed, payload }));
    refused += code === 'FRAME_INVALID' ? 1 : 0;
  }
  // A lane of n words misses a change with a chance of about 2^-16, so of some hundred changes none is expected to pass.
  expect(refused).toBe(8 * seed.payload.length);
});

const good = seeds.find((s) => s.params.length > 24 && s.payload.length > 60)!;
const [t] = [good.shape.reduce((a, b) => a * b)];

/** Params with a number of `size` bytes changed. */
function withParam(at: number, value: number, size: 1 | 4 = 4): EncodedTensor {
  const params = good.params.slice();
  const view = new DataView(params.buffer);
  if (size === 1) view.setUint8(at, value);
  else view.setUint32(at, value, true);
  return { ...good, params };
}

test.each<[string, EncodedTensor]>([
  ['Q = 1', withParam(0, 1, 1)],
  ['Q = 9', withParam(0, 9, 1)],
  ['2048 lanes', withParam(1, 11, 1)],
  ['E = 0', withParam(2, 0, 1)],
  ['E = 255', withParam(2, 255, 1)],
  ['the reserved byte', withParam(3, 1, 1)],
  ['no rows', withParam(4, 0)],
  ['rows that do not divide', withParam(4, t! - 1)],
  ['2^32 - 1 rows', withParam(4, 0xffffffff)],
  ['more present than elements', withParam(8, t! + 1)],
  ['2^32 - 1 present', withParam(8, 0xffffffff)],
  ['lo of 2^24', withParam(12, 2 ** 24)],
  ['hi of 2^24', withParam(16, 2 ** 24)],
  ['an empty table', { ...good, params: good.params.slice().fill(0, 20) }],
  ['a table of another length', { ...good, params: Uint8Array.from([...good.params, 0]) }],
  ['a flag of slicer', { ...good, flags: 4 }],
  ['no elements, not constant', { ...good, shape: [0] }],
  ['a payload of odd length', { ...good, payload: good.payload.slice(1) }],
  ['no payload', { ...good, payload: new Uint8Array(0) }],
  ['a state below 2^16', { ...good, payload: Uint8Array.from([1, 0, 0, 0]) }],
])('%s: FRAME_INVALID from both', (_, tensor) => {
  expect(codeOf(() => decodeTensor(tensor))).toBe('FRAME_INVALID');
  expect(codeOf(() => decodeRans(tensor))).toBe('FRAME_INVALID');
});

test.each<[string, number[]]>([
  ['a count that does not end', [0x80, 0x80]],
  ['a count of five bytes', [0x80, 0x80, 0x80, 0x80, 1]],
  ['a count with a needless byte', [0x80, 0]],
  ['counts beyond the payload', [0xff, 0xff, 0xff, 0x7f]],
])('%s: FRAME_INVALID from both', (_, directory) => {
  const payload = Uint8Array.from([0, 0, 1, 0, 0, 0, 1, 0, ...directory]);
  const tensor = { ...withParam(1, 1, 1), payload };
  expect(codeOf(() => decodeTensor(tensor))).toBe('FRAME_INVALID');
  expect(codeOf(() => decodeRans(tensor))).toBe('FRAME_INVALID');
});

test('a large claim in a small tensor costs no more than its own output', () => {
  const params = good.params.slice();
  const view = new DataView(params.buffer);
  view.setUint32(4, 2 ** 24, true);
  view.setUint32(8, 2 ** 24, true);
  const before = process.memoryUsage().arrayBuffers;
  const code = codeOf(() => decodeTensor({ ...good, shape: [2 ** 24], params }));
  expect(code).toBe('FRAME_INVALID');
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 26 + 2 ** 20);
});
