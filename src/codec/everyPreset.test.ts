// What every preset owes whoever calls it, whatever its family: any rank and batch, dimensions of zero, float16 as the
// float32 it stands for, several tensors in a frame, and one error per damaged byte. New presets are covered unasked.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { DTYPES, elementCount, type Tensor, tensorBytes, viewBytes } from '../tensor.ts';
import { decode, decodeFrame, encode, encodeFrame } from './index.ts';
import { PRESETS, type PresetName } from './params.ts';
import { toFloat16, toFloat32 } from './reference/float16.ts';
import { randomBits } from './reference/vectors.ts';

const NAMES = Object.keys(PRESETS) as PresetName[];
const LOSSY = NAMES.filter((name) => PRESETS[name].family !== 'raw');
const RUNS = { numRuns: 60 };

/** Rank 0…8, dimensions 0…n, at most a few thousand elements. */
const anyShape = fc
  .array(fc.integer({ min: 0, max: 9 }), { maxLength: 8 })
  .filter((shape) => shape.reduce((a, b) => a * b, 1) <= 3000);

/** Elements of every kind of bit pattern, NaN and infinities among them. */
const anyTensor: fc.Arbitrary<Tensor> = fc
  .record({ dtype: fc.constantFrom(...DTYPES), shape: anyShape, seed: fc.nat() })
  .map(({ dtype, shape, seed }) => {
    const random = randomBits(seed);
    const bytes = tensorBytes({
      dtype,
      shape,
      data: viewBytes(dtype, new Uint8Array(8 * elementCount(shape))),
    });
    for (let i = 0; i < bytes.length; i++) bytes[i] = dtype === 'bool' ? random() & 1 : random() >>> 24;
    return { dtype, shape, data: viewBytes(dtype, bytes).slice(0, elementCount(shape)) as Tensor['data'] };
  });

/** Ordinary features: a bell of both signs. */
const anyFeature = fc
  .record({ shape: anyShape, seed: fc.nat(), relu: fc.boolean() })
  .map(({ shape, seed, relu }): Tensor & { data: Float32Array } => {
    const random = randomBits(seed);
    const next = () => (random() >>> 16) / 65536 + (random() >>> 16) / 65536 - 1;
    const data = Float32Array.from({ length: elementCount(shape) }, next);
    return { dtype: 'float32', shape, data: relu ? data.map((x) => Math.max(0, x)) : data };
  });

const isFloat = ({ dtype }: Tensor) => dtype === 'float32' || dtype === 'float16';
const numbers = ({ dtype, data }: Tensor) =>
  dtype === 'float16' ? toFloat32(data as Uint16Array) : (data as Float32Array);
const finiteMax = (x: Float32Array) =>
  x.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0);

describe.each(NAMES)('%s', (name) => {
  test('any tensors of any rank cross in one frame as they cross alone', () => {
    fc.assert(
      fc.property(fc.array(anyTensor, { maxLength: 6 }), (tensors) => {
        const back = decodeFrame(encodeFrame(tensors, { codec: name })).tensors;
        expect(back.length).toBe(tensors.length);
        for (const [i, tensor] of tensors.entries()) {
          expect(back[i]).toEqual(decode(encode(tensor, name)));
          expect(back[i]).toMatchObject({ dtype: tensor.dtype, shape: tensor.shape });
          expect(back[i]!.data.length).toBe(elementCount(tensor.shape));
          if (name === 'raw' || !isFloat(tensor)) expect(back[i]).toEqual(tensor);
        }
      }),
      RUNS,
    );
  });

  test('a batch, a vector and a scalar of the same elements differ in their shape alone', () => {
    fc.assert(
      fc.property(anyFeature, ({ shape, data }) => {
        // Family isthmus looks at the last two dimensions; the others see a list of elements.
        const planar = PRESETS[name].family === 'isthmus';
        const plain = planar ? [elementCount(shape.slice(0, -2)), ...shape.slice(-2)] : [data.length];
        const one = encode({ dtype: 'float32', shape, data }, name);
        const flat = encode({ dtype: 'float32', shape: plain, data }, name);
        expect(decode({ ...one, shape: plain })).toEqual(decode(flat));
      }),
      RUNS,
    );
  });
});

describe.each(LOSSY)('%s', (name) => {
  test('what comes back is finite and no further off than the largest element', () => {
    fc.assert(
      fc.property(anyFeature, (feature) => {
        const back = decode(encode(feature, name)).data as Float32Array;
        const largest = finiteMax(feature.data);
        back.forEach((x, i) => {
          if (!(Math.abs(x - feature.data[i]!) <= largest)) expect.fail(`${feature.data[i]} became ${x}`);
        });
      }),
      RUNS,
    );
  });

  test('wild patterns come back finite', () => {
    fc.assert(
      fc.property(anyTensor.filter(isFloat), (tensor) => {
        expect(numbers(decode(encode(tensor, name))).every(Number.isFinite)).toBe(true);
      }),
      RUNS,
    );
  });

  test('the largest numbers there are come back finite', () => {
    const data = Float32Array.of(1, -3.4028234663852886e38, 3.4028234663852886e38, 3e38, 2, 3.4e38);
    for (const shape of [[6], [3, 2], [1, 2, 3]])
      expect(
        (decode(encode({ dtype: 'float32', shape, data }, name)).data as Float32Array).every(Number.isFinite),
      ).toBe(true);
  });

  test('a constant, and nothing at all, come back exactly', () => {
    for (const value of [0, 1, -2.5, 1e-42, 3.4028234663852886e38])
      for (const shape of [[], [1], [2, 3, 4], [7, 1, 1, 1, 1, 1, 1, 2]]) {
        const data = new Float32Array(elementCount(shape)).fill(value);
        expect(decode(encode({ dtype: 'float32', shape, data }, name)).data).toEqual(data);
      }
    const nothing: Tensor = { dtype: 'float16', shape: [4, 0, 2], data: new Uint16Array(0) };
    expect(decode(encode(nothing, name))).toEqual(nothing);
  });

  test('float16 is the float32 it stands for, at both ends', () => {
    const check = (halves: Uint16Array, shape: readonly number[]) => {
      const half = encode({ dtype: 'float16', shape, data: halves }, name);
      const full = encode({ dtype: 'float32', shape, data: toFloat32(halves) }, name);
      expect(half).toEqual({ ...full, dtype: 'float16' });
      expect(decode(half)).toEqual({
        dtype: 'float16',
        shape,
        data: toFloat16(decode(full).data as Float32Array),
      });
    };
    const every = Uint16Array.from({ length: 65536 }, (_, i) => i);
    check(every, [1, 256, 256]);
    check(
      every.map((_, i) => Math.imul(i, 40503) & 0xffff).subarray(7), // the same ones in disorder
      [65529],
    );
    fc.assert(
      fc.property(
        anyTensor.filter((t) => t.dtype === 'float16'),
        ({ data, shape }) => check(data as Uint16Array, shape),
      ),
      RUNS,
    );
  });

  test('float16 beyond its range becomes its largest number, never infinity', () => {
    const wide = encode({ dtype: 'float32', shape: [4], data: Float32Array.of(1e9, -1e9, 0, 1e9) }, name);
    const back = decode({ ...wide, dtype: 'float16' }).data;
    expect([back[0], back[1]]).toEqual([0x7bff, 0xfbff]); // the others may be dropped
    const same = encode({ dtype: 'float32', shape: [3], data: new Float32Array(3).fill(-1e30) }, name);
    expect([...decode({ ...same, dtype: 'float16' }).data]).toEqual([0xfbff, 0xfbff, 0xfbff]);
  });

  test('integers under a lossy name are refused', () => {
    const good = encode({ dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) }, name);
    for (const dtype of DTYPES.filter((d) => !d.startsWith('float') || d === 'float64'))
      expect(() => decode({ ...good, dtype })).toThrowError(
        expect.objectContaining({ code: 'FRAME_INVALID' }),
      );
  });
});

describe.each(NAMES)('damage to a frame of %s', (name) => {
  const random = randomBits(99);
  const data = Float32Array.from({ length: 24 }, () => (random() >>> 20) / 1024 - 2);
  const frames = () => [
    encodeFrame([{ dtype: 'float32', shape: [2, 3, 4], data }], { codec: name, meta: { id: 1 } }),
    encodeFrame([{ dtype: 'float16', shape: [24], data: toFloat16(data) }], { codec: name }),
    encodeFrame(
      [
        { dtype: 'float32', shape: [5], data: new Float32Array(5).fill(0.5) },
        { dtype: 'int64', shape: [], data: BigInt64Array.of(-7n) },
        { dtype: 'float32', shape: [0, 3], data: new Float32Array(0) },
        { dtype: 'float16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 1) },
      ],
      { codec: name },
    ),
  ];
  const outcome = (bytes: Uint8Array) => {
    try {
      decodeFrame(bytes);
      return 'decoded';
    } catch (e) {
      if (e instanceof IsthmusError) return e.code;
      throw e;
    }
  };

  test('every single flipped bit is found', () => {
    for (const frame of frames())
      for (let bit = 0; bit < 8 * frame.length; bit++) {
        const bytes = frame.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const code = outcome(bytes);
        if (bit >= 96 && code !== 'FRAME_CORRUPT') expect.fail(`bit ${bit}: ${code}`);
        if (code === 'decoded') expect.fail(`bit ${bit} was not missed by anyone`);
      }
  });

  test('every truncation is an invalid frame', () => {
    for (const frame of frames())
      for (let n = 0; n < frame.length; n++)
        if (outcome(frame.subarray(0, n)) !== 'FRAME_INVALID') expect.fail(`${n} bytes`);
  });
});
