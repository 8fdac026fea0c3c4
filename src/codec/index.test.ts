// The public codec as a user meets it: ten lines that work, and refusals by code.
import { describe, expect, test } from 'vitest';
import type { Tensor } from '../tensor.ts';
import { decode, decodeFrame, encode, encodeFrame, type FrameMeta, readTokens } from './index.ts';
import { PRESETS, type SlicerParams } from './params.ts';
import { VECTORS } from './reference/vectors.ts';

const real = VECTORS.find((v) => v.name === 'a real shape: 64×14×14')!;
const feature: Tensor = { dtype: 'float32', shape: real.shape, data: real.data() };
const others: Tensor[] = [
  { dtype: 'int64', shape: [2], data: BigInt64Array.of(1n, -5n) },
  { dtype: 'int8', shape: [3, 1], data: Int8Array.of(-128, 0, 127) },
  { dtype: 'float64', shape: [], data: Float64Array.of(Math.PI) },
  { dtype: 'bool', shape: [0], data: new Uint8Array(0) },
  { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
];
const refusal = (code: string) => expect.objectContaining({ name: 'IsthmusError', code });

describe('round trips', () => {
  test('slicer is smaller and close, raw is exact', () => {
    const small = encode(feature, 'slicer-sparse');
    expect(small.payload.length).toBeLessThan(feature.data.byteLength / 10);
    const back = decode(small);
    expect(back.shape).toEqual(feature.shape);
    const kept = [...(back.data as Float32Array)].filter((x) => x !== 0).length;
    expect(kept / feature.data.length).toBeCloseTo(0.3, 2);
    expect(decode(encode(feature, 'raw'))).toEqual(feature);
  });

  test('a frame carries every element type, and meta', () => {
    const bytes = encodeFrame([feature, ...others], {
      codec: 'slicer-fine',
      kind: 'reply',
      cut: 3,
      meta: { id: 7 },
    });
    const frame = decodeFrame(bytes);
    expect(frame).toMatchObject({ kind: 'reply', cut: 3, meta: { id: 7 }, modelTag: '0000000000000000' });
    expect(frame.tensors.slice(1)).toEqual(others);
    expect(frame.tensors[0]).toEqual(decode(encode(feature, 'slicer-fine')));
  });

  test('a view into a larger array encodes like a copy', () => {
    const view = (feature.data as Float32Array).subarray(5, 1005);
    const a = encode({ dtype: 'float32', shape: [1000], data: view });
    expect(a).toEqual(encode({ dtype: 'float32', shape: [1000], data: view.slice() }));
  });

  test('a payload at an odd address decodes', () => {
    const bytes = encodeFrame([feature, ...others]);
    const odd = new Uint8Array(bytes.length + 1);
    odd.set(bytes, 1);
    expect(decodeFrame(odd.subarray(1))).toEqual(decodeFrame(bytes));
  });
});

describe('refusals', () => {
  const slicer: SlicerParams = PRESETS.slicer;
  test.each([
    ['no-such-preset'],
    [{ family: 'rans' }],
    [{ ...slicer, keep: 1.5 }],
    [{ ...slicer, asymmetry: Number.NaN }],
    [{ ...slicer, blocks: 3 }],
    [{ ...slicer, budget: { kind: 'max-error', delta: -1 } }],
    [{ ...slicer, budget: { kind: 'taste' } }],
    [null],
  ])('codec %j: CODEC_INVALID', (codec) => {
    expect(() => encode(feature, codec as SlicerParams)).toThrowError(refusal('CODEC_INVALID'));
  });

  test('shape and data that disagree, too many dimensions, too many bytes', () => {
    expect(() => encode({ ...feature, shape: [5] })).toThrowError(refusal('INPUT_INVALID'));
    expect(() => encode({ ...feature, dtype: 'float16' })).toThrowError(refusal('INPUT_INVALID'));
    const flat = { dtype: 'float32', shape: Array(9).fill(1), data: Float32Array.of(1) } as const;
    expect(() => encode(flat)).toThrowError(refusal('INPUT_INVALID'));
    const huge = { dtype: 'uint8', shape: [2 ** 26 + 1], data: new Uint8Array(2 ** 26 + 1) } as const;
    expect(() => encode(huge, 'raw')).toThrowError(refusal('TOO_LARGE'));
  });

  test.each([
    ['no shape', { dtype: 'float32', data: new Float32Array(3) }],
    ['no data', { dtype: 'float32', shape: [3] }],
    ['an unknown element type and a plain array', { dtype: 'float', shape: [1], data: [1] }],
    ['a typed array instead of a tensor', new Float32Array(3)],
    ['nothing', undefined],
  ])('%s: INPUT_INVALID', (_, tensor) => {
    expect(() => encode(tensor as unknown as Tensor)).toThrowError(refusal('INPUT_INVALID'));
    expect(() => encodeFrame([tensor as unknown as Tensor])).toThrowError(refusal('INPUT_INVALID'));
  });

  test('a tensor where a list of them is wanted, and patterns of float16 in another array', () => {
    expect(() => encodeFrame(feature as unknown as Tensor[])).toThrowError(refusal('INPUT_INVALID'));
    const halves = { ...feature, dtype: 'float16' } as const;
    expect(() => encode(halves)).toThrowError(/Uint16Array/);
  });

  test('meta that no frame can carry', () => {
    const round: Record<string, unknown> = {};
    round.round = round;
    for (const meta of [round, { n: 1n }, [1], null])
      expect(() => encodeFrame([], { meta: meta as FrameMeta })).toThrowError(refusal('FRAME_INVALID'));
  });

  test('an ArrayBuffer where bytes are wanted', () => {
    const frame = encodeFrame([]);
    for (const bytes of [frame.buffer, 'ISTH', undefined]) {
      expect(() => decodeFrame(bytes as unknown as Uint8Array)).toThrowError(refusal('INPUT_INVALID'));
      expect(() => readTokens(bytes as unknown as Uint8Array)).toThrowError(refusal('INPUT_INVALID'));
    }
  });

  test('what does not decode', () => {
    const good = encode(feature);
    expect(() => decode({ ...good, family: 'image' })).toThrowError(refusal('CODEC_INVALID'));
    expect(() => decode({ ...good, dtype: 'int32' })).toThrowError(refusal('FRAME_INVALID'));
    expect(() => decode({ ...good, shape: [1.5] })).toThrowError(refusal('FRAME_INVALID'));
    expect(() => decode({ ...good, shape: [0x7fffffff, 0x7fffffff] })).toThrowError(refusal('TOO_LARGE'));
    expect(() => decode(good, { outputBytes: 1000 })).toThrowError(refusal('TOO_LARGE'));
    expect(() => decode({ ...encode(feature, 'raw'), shape: [7] })).toThrowError(refusal('FRAME_INVALID'));
    expect(() => decode({ ...encode(feature, 'raw'), flags: 1 })).toThrowError(refusal('FRAME_INVALID'));
    const bool = encode({ dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 2) });
    expect(() => decode(bool)).toThrowError(refusal('FRAME_INVALID'));
  });
});
