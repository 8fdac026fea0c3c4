// GPU decoding of family `isthmus` equals reference decoding bit for bit, whoever decodes the lanes, and refuses what the
// reference refuses, with the same codes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { IsthmusError } from '../../errors.ts';
import { decodeIsthmus as decodeFast } from '../cpu/decodeIsthmus.ts';
import { planIsthmus } from '../isthmusPlan.ts';
import type { EncodedTensor } from '../params.ts';
import { decodeIsthmus } from '../reference/decodeIsthmus.ts';
import { encodeIsthmus } from '../reference/encodeIsthmus.ts';
import { toFloat16 } from '../reference/float16.ts';
import { MADE_PROFILES, madeProfileByName } from '../reference/isthmusProfiles.ts';
import { ISTHMUS_VECTORS } from '../reference/isthmusVectors.ts';
import { channels } from '../reference/ransVectors.ts';
import { randomBits } from '../reference/vectors.ts';
import { GpuDecoder } from './decoder.ts';
import type { GpuFeature } from './encoder.ts';
import { requestDevice } from './gpuTesting.fixture.ts';
import { HARDWARE, SOFTWARE } from './tuning.ts';

const profiles = madeProfileByName;
const countOf = ({ shape }: EncodedTensor) => shape.reduce((a, b) => a * b, 1);

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice();
});
afterAll(() => device.destroy());

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

async function expectFeature(feature: GpuFeature | undefined, floats: Float32Array, name: string) {
  const wanted = feature?.dtype === 'float16' ? toFloat16(floats) : floats;
  const bytes = new Uint8Array(wanted.buffer, wanted.byteOffset, wanted.byteLength);
  const actual = await download(feature!, bytes.length);
  expect(actual.length, name).toBe(bytes.length);
  expect(
    actual.findIndex((byte, i) => byte !== bytes[i]),
    `${name}: first differing byte`,
  ).toBe(-1);
}

const known = new Map<string, { tensor: EncodedTensor; floats: Float32Array }>();
function vectorOf({ name, shape, plan, data }: (typeof ISTHMUS_VECTORS)[number]) {
  let entry = known.get(name);
  if (!entry) {
    const tensor = encodeIsthmus(data(), shape, plan);
    entry = { tensor, floats: decodeIsthmus(tensor, countOf(tensor), profiles) };
    known.set(name, entry);
  }
  return entry;
}

describe.each([
  { name: 'hardware', tuning: HARDWARE },
  { name: 'hardware, lanes on the GPU', tuning: { ...HARDWARE, lanesFrom: 0 } },
  { name: 'software, lanes on the GPU', tuning: { ...SOFTWARE, lanesFrom: 0 } },
])('with the $name tuning', ({ tuning }) => {
  let decoder: GpuDecoder;
  beforeAll(async () => {
    decoder = await GpuDecoder.create(device, tuning);
  });
  afterAll(() => decoder.destroy());

  test.each(ISTHMUS_VECTORS.filter((v) => !v.refused))('$name', async (vector) => {
    const { tensor, floats } = vectorOf(vector);
    const half = { ...tensor, dtype: 'float16' } as const;
    const [first, second] = await decoder.decode([tensor, half], { profiles });
    expect(first).toMatchObject({ dtype: 'float32', shape: tensor.shape });
    await expectFeature(first, floats, vector.name);
    await expectFeature(second, floats, `${vector.name}, float16`);
  });
});

async function codeOf(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (e) {
    if (e instanceof IsthmusError) return e.code;
    throw e;
  }
}

function smooth(shape: readonly number[], seed: number, threshold?: number): Float32Array {
  const count = shape.reduce((a, b) => a * b, 1);
  return channels(count, shape.at(-1)! * 4, seed, threshold);
}

describe('frames', () => {
  test('several tensors: three or four dispatches each, a map only where lanes were decoded on the GPU', async () => {
    const decoder = await GpuDecoder.create(device);
    const params = { family: 'isthmus' } as const;
    const small = encodeIsthmus(smooth([4, 14, 14], 1), [4, 14, 14], planIsthmus(params));
    const { usual } = MADE_PROFILES;
    const shape = [2, 16, 8, 8];
    const other = encodeIsthmus(smooth(shape, 2), shape, planIsthmus({ ...params, profile: usual }));
    const two = await decoder.decode([small, other], { profiles });
    expect(decoder.lastFrame).toMatchObject({ dispatches: 6, submits: 1, maps: 0 });
    await expectFeature(two[0], decodeIsthmus(small, 784, profiles), 'small');
    await expectFeature(two[1], decodeIsthmus(other, 2048, profiles), 'with a profile');

    const large = encodeIsthmus(smooth([48, 40, 40], 3), [48, 40, 40], planIsthmus(params));
    const [feature] = await decoder.decode([large]);
    expect(decoder.lastFrame).toMatchObject({ dispatches: 4, submits: 1, maps: 1 });
    await expectFeature(feature, decodeIsthmus(large, 76_800, profiles), 'large');
    expect(await codeOf(() => decoder.decode([other]))).toBe('FRAME_INVALID'); // no profile given
    decoder.destroy();
  });
});

describe('refusals', () => {
  const isSmall = ({ shape, refused }: (typeof ISTHMUS_VECTORS)[number]) =>
    !refused && shape.reduce((a, b) => a * b, 1) <= 1100;
  const INTERESTING = [0, 1, 2, 15, 16, 0x7f, 0x80, 0xff];

  test.each([
    { name: 'lanes on the CPU', lanesFrom: 2 ** 30 },
    { name: 'lanes on the GPU', lanesFrom: 0 },
  ])(
    'changed tensors, $name: accepted and refused as by the reference, with the same values',
    async ({ lanesFrom }) => {
      const decoder = await GpuDecoder.create(device, { ...SOFTWARE, lanesFrom });
      const seeds = ISTHMUS_VECTORS.filter(isSmall).map((v) => vectorOf(v).tensor);
      const next = randomBits(815);
      const outcomes = { accepted: 0, refused: 0 };
      for (let n = 0; n < 1200; n++) {
        const seed = seeds[next() % seeds.length]!;
        const tensor = { ...seed, params: seed.params.slice(), payload: seed.payload.slice() };
        const target = tensor.payload.length > 0 && next() % 2 ? tensor.payload : tensor.params;
        const at = next() % (next() % 2 ? target.length : Math.min(16, target.length));
        if (next() % 3) target[at]! ^= 1 << (next() & 7);
        else target[at] = INTERESTING[next() % INTERESTING.length]!;
        if (next() % 8 === 0) tensor.flags = next() & 15;
        if (next() % 8 === 0) tensor.payload = tensor.payload.slice(0, next() % (tensor.payload.length + 1));
        if (next() % 16 === 0) tensor.payload = Uint8Array.from([...tensor.payload, next(), next()]);
        const count = countOf(tensor);
        const wanted = await codeOf(() => decodeFast(tensor, count, profiles));
        let features: GpuFeature[] = [];
        const gpu = await codeOf(async () => {
          features = await decoder.decode([tensor], { profiles });
        });
        expect(gpu, `case ${n}`).toBe(wanted);
        outcomes[gpu === undefined ? 'accepted' : 'refused']++;
        if (gpu === undefined)
          await expectFeature(features[0], decodeFast(tensor, count, profiles), `case ${n}`);
      }
      decoder.destroy();
      console.info('changed tensors:', outcomes);
      expect(outcomes.accepted).toBeGreaterThan(100);
      expect(outcomes.refused).toBeGreaterThan(100);
    },
  );

  test('each way in which a lane can be wrong has its words', async () => {
    const decoder = await GpuDecoder.create(device, { ...HARDWARE, lanesFrom: 0 });
    const { tensor } = vectorOf(
      ISTHMUS_VECTORS.find((v) => v.name === 'sent tables, some that nobody needs')!,
    );
    /** What both say; undefined when both accept, as they do when a sign alone has turned round. */
    const refusalOf = async (payload: Uint8Array): Promise<string | undefined> => {
      const wrong = { ...tensor, payload };
      const refusal = (action: () => unknown) =>
        Promise.resolve()
          .then(action)
          .then(() => undefined)
          .catch((e: unknown) => {
            if (e instanceof IsthmusError && e.code === 'FRAME_INVALID') return e.message;
            throw e;
          });
      const message = await refusal(() => decoder.decode([wrong]));
      expect(message).toBe(await refusal(() => decodeIsthmus(wrong, countOf(tensor), profiles)));
      return message;
    };
    const messages = new Set<string | undefined>();
    const { payload } = tensor;
    messages.add(await refusalOf(payload.slice(0, payload.length - 2)));
    messages.add(await refusalOf(Uint8Array.from([...payload, 1, 0])));
    for (let bit = 0; bit < 8 * payload.length; bit += 3) {
      const changed = payload.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      messages.add(await refusalOf(changed));
    }
    for (const words of ['too few words', 'words left over', 'a wrong state', 'was not sent'])
      expect(
        [...messages].some((message) => message?.includes(words)),
        words,
      ).toBe(true);
    decoder.destroy();
  });
});
