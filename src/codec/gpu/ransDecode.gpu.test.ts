// Family `rans` decoded on the GPU: the values of the reference bit for bit on every vector, the same tensors refused, and
// what it costs in dispatches, submits and maps. Vectors are small, so most tests send few lanes to the GPU as well.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { IsthmusError } from '../../errors.ts';
import { decodeTensor } from '../cpu/decode.ts';
import { encodeRans as fastEncode } from '../cpu/encodeRans.ts';
import { encodeStream, stepsOfTable } from '../cpu/ransLanes.ts';
import type { EncodedTensor, RansPlan } from '../params.ts';
import { countSymbols } from '../reference/csr.ts';
import { decodeRans } from '../reference/decodeRans.ts';
import { encodeRans } from '../reference/encodeRans.ts';
import { toFloat16 } from '../reference/float16.ts';
import { alphabetOf, writeRansParams } from '../reference/ransLayout.ts';
import { normalise } from '../reference/ransTable.ts';
import { channels, RANS_VECTORS } from '../reference/ransVectors.ts';
import { randomBits } from '../reference/vectors.ts';
import { GpuDecoder } from './decoder.ts';
import type { GpuFeature } from './encoder.ts';
import { requestDevice } from './gpuTesting.fixture.ts';
import { HARDWARE, SOFTWARE } from './tuning.ts';

/** All lanes on the GPU. */
const ALL = { lanesFrom: 0 };

let device: GPUDevice;
let decoder: GpuDecoder;
beforeAll(async () => {
  device = await requestDevice();
  decoder = await GpuDecoder.create(device, { ...SOFTWARE, ...ALL });
});
afterAll(() => {
  decoder.destroy();
  device.destroy();
});

/** The bytes of a feature, which is destroyed. */
async function download({ buffer }: GpuFeature, byteLength: number): Promise<Uint8Array> {
  const size = Math.max(4, Math.ceil(byteLength / 4) * 4);
  const { MAP_READ, COPY_DST } = GPUBufferUsage;
  const readback = device.createBuffer({ label: 'test', size, usage: MAP_READ | COPY_DST });
  const commands = device.createCommandEncoder();
  commands.copyBufferToBuffer(buffer, 0, readback, 0, size);
  device.queue.submit([commands.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const bytes = new Uint8Array(readback.getMappedRange().slice(0, byteLength));
  readback.destroy();
  buffer.destroy();
  return bytes;
}

/** Bit for bit. */
async function expectFeature(feature: GpuFeature, wanted: Float32Array | Uint16Array, name: string) {
  const patterns = new Uint8Array(wanted.buffer, wanted.byteOffset, wanted.byteLength);
  const actual = await download(feature, wanted.byteLength);
  expect(
    actual.findIndex((byte, i) => byte !== patterns[i]),
    `${name}: first differing byte`,
  ).toBe(-1);
}

async function expectDecoded(using: GpuDecoder, encoded: EncodedTensor, name: string): Promise<void> {
  const wanted = decodeRans(encoded);
  const [feature] = await using.decode([encoded]);
  expect(feature).toMatchObject({ dtype: encoded.dtype, shape: encoded.shape });
  await expectFeature(feature!, encoded.dtype === 'float16' ? toFloat16(wanted) : wanted, name);
}

const vectors = RANS_VECTORS.filter((v) => !v.refused);

describe.each([
  { name: 'software', tuning: { ...SOFTWARE, ...ALL } },
  { name: 'hardware', tuning: { ...HARDWARE, ...ALL } },
  { name: 'software, few lanes on the CPU', tuning: SOFTWARE },
])('with the $name tuning', ({ tuning }) => {
  let tuned: GpuDecoder;
  beforeAll(async () => {
    tuned = await GpuDecoder.create(device, tuning);
  });
  afterAll(() => tuned.destroy());

  test.each(vectors)('$name', async ({ name, shape, plan, data }) => {
    const tensor = encodeRans(data(), shape, plan);
    await expectDecoded(tuned, tensor, name);
    await expectDecoded(tuned, { ...tensor, dtype: 'float16' }, `${name}, float16`);
  });

  test('half a million elements', async () => {
    const tensor = fastEncode(channels(524_288, 4096, 71, 0.2), [524_288], planOf({ bits: 5 }));
    const [feature] = await tuned.decode([tensor]);
    expect(tuned.lastFrame).toMatchObject({ dispatches: 3, submits: 1, maps: 1, readbackBytes: 256 });
    await expectFeature(feature!, decodeTensor(tensor).data as Float32Array, 'half a million');
  });
});

function planOf(plan: Partial<RansPlan> = {}): RansPlan {
  return { bits: 4, lanes: undefined, strict: false, ...plan };
}

const encode = (count: number, seed: number, plan: Partial<RansPlan> = {}) =>
  fastEncode(channels(count, 196, seed, 0.2), [count], planOf(plan));

test('several tensors: one submit, one map, and nothing of one in another', async () => {
  const tensors = [encode(9000, 1), encode(333, 2, { lanes: 8 }), encode(40_001, 3, { bits: 7 })];
  tensors[1]!.dtype = 'float16';
  const features = await decoder.decode(tensors);
  expect(decoder.lastFrame).toMatchObject({ dispatches: 9, submits: 1, maps: 1 });
  for (const [i, tensor] of tensors.entries())
    await expectFeature(features[i]!, decodeTensor(tensor).data as Float32Array, `tensor ${i}`);
});

test('few lanes, or long ones whatever the tuning, cost neither a pass nor a map', async () => {
  const usual = await GpuDecoder.create(device, SOFTWARE);
  const few = encode(5000, 4);
  await expectDecoded(usual, few, 'few lanes');
  expect(usual.lastFrame).toMatchObject({ dispatches: 0, maps: 0 });
  const long = encode(150_000, 5, { lanes: 1 });
  const [feature] = await decoder.decode([{ ...long, dtype: 'float16' }]);
  expect(decoder.lastFrame).toMatchObject({ dispatches: 0, maps: 0 });
  await expectFeature(feature!, toFloat16(decodeTensor(long).data as Float32Array), 'a long lane');
  expect(await codeOf(() => usual.decode([{ ...few, payload: few.payload.slice(2) }]))).toBe('FRAME_INVALID');
  usual.destroy();
});

/** The code of the refusal, or undefined. */
async function codeOf(action: () => unknown): Promise<string | undefined> {
  return (await refusalOf(action))?.code;
}

async function refusalOf(action: () => unknown): Promise<IsthmusError | undefined> {
  try {
    await action();
    return undefined;
  } catch (e) {
    if (e instanceof IsthmusError) return e;
    throw e;
  }
}

describe('refusals', () => {
  const seeds = vectors
    .filter((v) => v.shape.reduce((a, b) => a * b) <= 1300)
    .map((v) => encodeRans(v.data(), v.shape, v.plan));

  test('changed tensors: accepted and refused exactly as by the reference, with the same values', async () => {
    const next = randomBits(4712);
    const outcomes = { accepted: 0, before: 0, after: 0 };
    for (let n = 0; n < 2000; n++) {
      const seed = seeds[next() % seeds.length]!;
      const [params, payload] = [seed.params.slice(), seed.payload.slice()];
      const target = payload.length > 0 && next() % 2 ? payload : params;
      target[next() % target.length]! ^= next() % 3 ? 1 << (next() & 7) : next();
      const tensor = {
        ...seed,
        params,
        payload: next() % 8 ? payload : payload.slice(0, next() % (payload.length + 1)),
        flags: next() % 8 ? seed.flags : next() & 7,
      };
      const reference = await refusalOf(() => decodeRans(tensor));
      decoder.lastFrame.maps = 0;
      let features: GpuFeature[] = [];
      const gpu = await refusalOf(async () => {
        features = await decoder.decode([tensor]);
      });
      expect(gpu?.code, `case ${n}: ${reference?.message}`).toBe(reference?.code);
      outcomes[!gpu ? 'accepted' : decoder.lastFrame.maps ? 'after' : 'before']++;
      if (!gpu) await expectFeature(features[0]!, decodeRans(tensor), `case ${n}`);
    }
    console.info('changed rans tensors, refused before and after the passes:', outcomes);
    expect(outcomes.accepted).toBeGreaterThan(200);
    expect(outcomes.before).toBeGreaterThan(100);
    expect(outcomes.after).toBeGreaterThan(200);
  });

  const LANES = 4;
  const csr = { columns: 10, rows: 20, present: 5 };
  const good = [1, 2, 9, 9, 1, 0, 5, 9, 0, 9, ...Array(20).fill(0)];
  good[10] = 3; // row 0 holds columns 0, 5 and 9, row 19 columns 0 and 9
  good[29] = 2;

  /** A stream in order around a D that may not be. */
  function tensorOf(symbols: number[]): EncodedTensor {
    const quantiser = { bits: 4, exponent: 128, below: 4_000_000, above: 8_000_000 }; // z = 5
    const table = normalise(countSymbols(symbols, alphabetOf(4, csr.columns)));
    const step = stepsOfTable(table);
    return {
      family: 'rans',
      dtype: 'float32',
      shape: [200],
      flags: 0,
      params: writeRansParams({ quantiser, csr, lanes: LANES, table }),
      payload: encodeStream(
        Uint32Array.from(symbols, (s) => step[s]!),
        LANES,
      ),
    };
  }
  const changed = (changes: Record<number, number>) =>
    tensorOf(good.map((symbol, i) => (i in changes ? changes[i]! : symbol)));

  test('the untouched one is accepted', async () => {
    await expectDecoded(decoder, tensorOf(good), 'good');
  });

  test.each<[string, EncodedTensor, string]>([
    ['the code of zero among the present', changed({ 2: 5 }), 'a code is out of range'],
    ['a column twice', changed({ 6: 0 }), 'its columns do not rise'],
    ['columns that fall', changed({ 5: 6 }), 'its columns do not rise'],
    ['a column that is none', changed({ 9: 10 }), 'its columns do not rise or are out of range'],
    ['a row above K', changed({ 10: 11 }), 'a row has too many elements'],
    ['rows beyond S, at the end', changed({ 29: 3 }), 'a row has too many elements'],
    ['rows beyond S, early', changed({ 11: 9 }), 'a row has too many elements'],
    ['rows that lack one', changed({ 29: 1 }), 'its rows do not have all elements'],
    ['no present element in any row', changed({ 10: 0, 29: 0 }), 'its rows do not have all elements'],
  ])('%s', async (_, tensor, reason) => {
    const gpu = await refusalOf(() => decoder.decode([tensor]));
    expect(gpu).toMatchObject({ code: 'FRAME_INVALID', message: expect.stringContaining(reason) });
    expect((await refusalOf(() => decodeRans(tensor)))?.message).toBe(gpu?.message);
  });

  test('codes above n', async () => {
    const wide = { columns: 100, rows: 2, present: 1 };
    const symbols = [16, 7, 1, 0];
    const table = normalise(countSymbols(symbols, alphabetOf(4, 100)));
    const quantiser = { bits: 4, exponent: 128, below: 0, above: 8_000_000 };
    const step = stepsOfTable(table);
    const payload = encodeStream(
      Uint32Array.from(symbols, (s) => step[s]!),
      1,
    );
    const params = writeRansParams({ quantiser, csr: wide, lanes: 1, table });
    const tensor: EncodedTensor = { ...tensorOf(good), params, payload };
    const gpu = await refusalOf(() => decoder.decode([tensor]));
    expect(gpu).toMatchObject({ code: 'FRAME_INVALID', message: expect.stringContaining('a code is out') });
    expect(await codeOf(() => decodeRans(tensor))).toBe('FRAME_INVALID');
  });

  test('words that are missing, left over, or end in another state', async () => {
    const seed = encode(3000, 8, { lanes: 16 });
    const { payload } = seed;
    const view = new DataView(payload.buffer);
    const refused = async (bytes: Uint8Array) => {
      const tensor = { ...seed, payload: bytes };
      expect(await codeOf(() => decodeRans(tensor))).toBe('FRAME_INVALID');
      const refusal = await refusalOf(() => decoder.decode([tensor]));
      expect(decoder.lastFrame.maps).toBe(1);
      return refusal?.message;
    };
    expect(await refused(payload.subarray(0, -2))).toMatch('too few words');
    expect(await refused(Uint8Array.of(...payload, 1, 1))).toMatch('words left over');
    const states = payload.slice();
    new DataView(states.buffer).setUint32(4, view.getUint32(4, true) ^ 1, true);
    expect(await refused(states)).toMatch(/lane|code|column|row/);
    await expectDecoded(decoder, seed, 'the good one, afterwards');
  });

  test('one bad tensor among good ones: none comes back, and the decoder goes on', async () => {
    const [good, other] = [encode(3000, 8), encode(2000, 9)];
    const bad = { ...other, payload: other.payload.slice(0, -2) };
    expect(await codeOf(() => decoder.decode([good, bad]))).toBe('FRAME_INVALID');
    await expectDecoded(decoder, good, 'good');
  });

  test('large claims of a few bytes end at once', async () => {
    // One symbol has the whole table: no word is ever wanted, and D is 2^24 row counts of 0.
    const table = new Uint16Array(16);
    table[0] = 4096;
    const quantiser = { bits: 4, exponent: 128, below: 0, above: 1 };
    const claim = (lanes: number): EncodedTensor => {
      const params = writeRansParams({
        quantiser,
        csr: { columns: 1, rows: 2 ** 24, present: 0 },
        lanes,
        table,
      });
      const payload = new Uint8Array(5 * lanes - 1);
      for (let lane = 0; lane < lanes; lane++) payload[4 * lane + 2] = 1;
      return { family: 'rans', dtype: 'float32', shape: [2 ** 24], flags: 0, params, payload };
    };
    for (const lanes of [1, 1024]) {
      const began = performance.now();
      const [feature] = await decoder.decode([claim(lanes)]);
      feature!.buffer.destroy();
      expect(decoder.lastFrame.maps).toBe(lanes === 1 ? 0 : 1);
      console.info(`2^24 elements in ${lanes} lanes: ${Math.round(performance.now() - began)} ms`);
    }
  }, 60_000);
});
