// Frames there and back, the documented byte positions, and one refusal per rule of FORMAT.md.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EncodedTensor } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { DTYPES } from '../tensor.ts';
import { frameChecksum } from './crc32.ts';
import { jsonDepth } from './jsonDepth.ts';
import { FRAME_KINDS, type Frame } from './layout.ts';
import { readFrame } from './readFrame.ts';
import { writeFrame } from './writeFrame.ts';

const small: Frame = {
  kind: 'request',
  modelTag: '0123456789abcdef',
  cut: 2,
  meta: { id: 'é' },
  tensors: [
    {
      family: 'slicer',
      dtype: 'float32',
      shape: [1, 3],
      flags: 1,
      params: Uint8Array.of(1, 2, 3, 4),
      payload: new Uint8Array(0),
    },
    {
      family: 'raw',
      dtype: 'uint8',
      shape: [5],
      flags: 0,
      params: new Uint8Array(0),
      payload: Uint8Array.of(9, 8, 7, 6, 5),
    },
  ],
};

/** The code of the error that reading gives, or 'read'. Anything but an IsthmusError is rethrown. */
function outcome(bytes: Uint8Array, limits?: Parameters<typeof readFrame>[1]): string {
  try {
    readFrame(bytes, limits);
    return 'read';
  } catch (e) {
    if (e instanceof IsthmusError) return e.code;
    throw e;
  }
}

/** A changed copy with its checksum made right again, so that the checks behind it are reached. */
function altered(change: (bytes: Uint8Array, view: DataView) => void, frame = small): Uint8Array {
  const bytes = writeFrame(frame);
  const view = new DataView(bytes.buffer);
  change(bytes, view);
  view.setUint32(12, frameChecksum(bytes), true);
  return bytes;
}

const anyTensor: fc.Arbitrary<EncodedTensor> = fc.record({
  family: fc.constantFrom('raw' as const, 'slicer' as const, 'image' as const),
  dtype: fc.constantFrom(...DTYPES),
  shape: fc.array(fc.nat(9), { maxLength: 6 }),
  flags: fc.nat(7),
  params: fc.uint8Array({ maxLength: 40 }),
  payload: fc.uint8Array({ maxLength: 90 }),
});

const anyFrame: fc.Arbitrary<Frame> = fc.record({
  kind: fc.constantFrom(...FRAME_KINDS),
  modelTag: fc.stringMatching(/^[0-9a-f]{16}$/),
  cut: fc.nat(0xffff),
  meta: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true }) as fc.Arbitrary<
    Frame['meta']
  >,
  tensors: fc.array(anyTensor, { maxLength: 5 }),
});

describe('writing and reading', () => {
  test('give back the same frame', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        const back = readFrame(writeFrame(frame), { outputBytes: 2 ** 40 });
        expect(back).toEqual({ ...frame, meta: JSON.parse(JSON.stringify(frame.meta)) });
      }),
      { numRuns: 500 },
    );
  });

  test('put every field where FORMAT.md says', () => {
    const bytes = writeFrame(small);
    const view = new DataView(bytes.buffer);
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe('ISTH');
    expect([bytes[4], bytes[5]]).toEqual([1, 0]);
    const header = 32 + (12 + 8 + 4) + (12 + 4) + 12; // meta {"id":"é"} is 11 bytes
    expect(view.getUint16(6, true)).toBe(header);
    expect(view.getUint32(8, true)).toBe(header + 8);
    expect(bytes.length).toBe(header + 8);
    expect([...bytes.subarray(16, 24)]).toEqual([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
    expect(view.getUint16(24, true)).toBe(2);
    expect([bytes[26], bytes[27]]).toEqual([2, 0]);
    expect(view.getUint32(28, true)).toBe(11);
    expect([...bytes.subarray(32, 56)]).toEqual([
      1, 0, 2, 1, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 4,
    ]);
    expect([...bytes.subarray(header)]).toEqual([9, 8, 7, 6, 5, 0, 0, 0]);
  });

  test('views share memory and are plain arrays even from a Buffer at an odd offset', () => {
    const bytes = writeFrame(small);
    const buffer = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
    const { tensors } = readFrame(buffer);
    expect(tensors[1]!.payload.buffer).toBe(buffer.buffer);
    expect(tensors[1]!.payload.constructor).toBe(Uint8Array);
    expect([...tensors[1]!.payload]).toEqual([9, 8, 7, 6, 5]);
  });
});

describe('refusals', () => {
  test('every single flipped bit is detected', () => {
    const good = writeFrame(small);
    const codes: Record<string, number> = {};
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bytes = good.slice();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      const code = outcome(bytes);
      codes[code] = (codes[code] ?? 0) + 1;
    }
    expect(codes.read).toBeUndefined();
    expect(codes.FRAME_CORRUPT).toBeGreaterThan(good.length * 8 - 73); // all but magic, version and length
  });

  test('every truncation and every extension is FRAME_INVALID', () => {
    const good = writeFrame(small);
    for (let n = 0; n < good.length; n++) expect(outcome(good.subarray(0, n))).toBe('FRAME_INVALID');
    expect(outcome(Buffer.concat([good, Buffer.alloc(4)]))).toBe('FRAME_INVALID');
  });

  test.each<[string, string, (b: Uint8Array, v: DataView) => void]>([
    ['magic', 'FRAME_INVALID', (b) => (b[0] = 0x69)],
    ['version', 'FRAME_VERSION', (b) => (b[4] = 2)],
    ['kind', 'FRAME_INVALID', (b) => (b[5] = 3)],
    ['header not a multiple of 4', 'FRAME_INVALID', (_, v) => v.setUint16(6, 85, true)],
    ['header beyond the frame', 'FRAME_INVALID', (_, v) => v.setUint16(6, 0xfffc, true)],
    ['header too short for its records', 'FRAME_INVALID', (_, v) => v.setUint16(6, 40, true)],
    ['more tensors than records', 'FRAME_INVALID', (b) => (b[26] = 3)],
    ['too many tensors', 'TOO_LARGE', (b) => (b[26] = 65)],
    ['reserved byte', 'FRAME_INVALID', (b) => (b[27] = 1)],
    ['meta length', 'FRAME_INVALID', (_, v) => v.setUint32(28, 0xffffffff, true)],
    ['family unknown', 'FRAME_INVALID', (b) => (b[32] = 15)],
    ['element type', 'FRAME_INVALID', (b) => (b[33] = 8)],
    ['rank', 'TOO_LARGE', (b) => (b[34] = 9)],
    ['rank beyond the header', 'FRAME_INVALID', (b) => (b[34] = 8)],
    ['flags', 'FRAME_INVALID', (b) => (b[35] = 8)],
    ['params length', 'FRAME_INVALID', (_, v) => v.setUint32(36, 0xfffffffd, true)],
    ['payload length', 'FRAME_INVALID', (_, v) => v.setUint32(40, 0xfffffffd, true)],
    ['payload shorter than the frame', 'FRAME_INVALID', (_, v) => v.setUint32(64, 3, true)],
    ['dimension', 'TOO_LARGE', (_, v) => v.setUint32(44, 0x80000000, true)],
    ['size', 'TOO_LARGE', (_, v) => v.setUint32(44, 0x7fffffff, true)],
    ['payload padding', 'FRAME_INVALID', (b) => (b[b.length - 1] = 1)],
    ['meta is not UTF-8', 'FRAME_INVALID', (b) => (b[72 + 7] = 0xff)],
    ['meta is no object', 'FRAME_INVALID', (b) => b.set(new TextEncoder().encode('["id",   1]'), 72)],
    ['meta is no JSON', 'FRAME_INVALID', (b) => (b[72] = 0x5b)],
  ])('%s: %s', (_, code, change) => {
    expect(outcome(altered(change))).toBe(code);
  });

  test('64 bytes that declare 2^31-1 × 2^31-1 elements', () => {
    const huge = altered(
      (_, v) => {
        v.setUint32(44, 0x7fffffff, true);
        v.setUint32(48, 0x7fffffff, true);
      },
      { ...small, meta: {}, tensors: [{ ...small.tensors[0]!, params: new Uint8Array(12) }] },
    );
    expect(huge.length).toBe(64);
    const before = process.memoryUsage();
    expect(outcome(huge)).toBe('TOO_LARGE');
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(65536);
  });

  test('limits: the frame itself, and tensors that are too large only together', () => {
    expect(outcome(writeFrame(small), { frameBytes: 91 })).toBe('TOO_LARGE');
    expect(outcome(writeFrame(small), { outputBytes: 16 })).toBe('TOO_LARGE');
    expect(outcome(writeFrame(small), { outputBytes: 17 })).toBe('read');
  });

  test('meta nested deeper than 100, on both sides', () => {
    const nest = (depth: number): unknown => (depth === 0 ? 1 : [nest(depth - 1)]);
    expect(outcome(writeFrame({ ...small, meta: { a: nest(99) } }))).toBe('read');
    expect(() => writeFrame({ ...small, meta: { a: nest(100) } })).toThrowError(/nested/);
    const bomb = altered((b) => b.fill(0x5b, 72, 72 + 20_000), { ...small, meta: { a: 'x'.repeat(20_000) } });
    expect(outcome(bomb)).toBe('FRAME_INVALID');
  });

  test('depth ignores brackets inside strings', () => {
    const depth = (s: string) => jsonDepth(new TextEncoder().encode(s));
    expect(depth('{"a[[[\\"[":[1,{"b":"]"}]}')).toBe(3);
    expect(depth('7')).toBe(0);
  });

  test.each<[string, Partial<Frame>]>([
    ['tag', { modelTag: '0123' }],
    ['cut', { cut: 65536 }],
    ['kind', { kind: 'gossip' as 'reply' }],
    ['dimension', { tensors: [{ ...small.tensors[0]!, shape: [-1] }] }],
    ['rank', { tensors: [{ ...small.tensors[0]!, shape: [1, 1, 1, 1, 1, 1, 1, 1, 1] }] }],
    ['number of tensors', { tensors: Array(65).fill(small.tensors[0]) }],
  ])('a frame with a wrong %s is not written', (_, part) => {
    expect(() => writeFrame({ ...small, ...part })).toThrowError(
      expect.objectContaining({ code: 'FRAME_INVALID' }),
    );
  });

  test('a header above 64 KiB is not written', () => {
    expect(() => writeFrame({ ...small, meta: { a: 'x'.repeat(66_000) } })).toThrowError(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    );
  });
});
