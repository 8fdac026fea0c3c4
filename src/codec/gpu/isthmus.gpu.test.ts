// Family `isthmus` on the GPU: the bytes equal the reference's for every vector, whoever codes the lanes. Plans go straight to
// the family, because some vectors have plans that no parameters lead to.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EncodedTensor } from '../params.ts';
import { encodeIsthmus } from '../reference/encodeIsthmus.ts';
import { ISTHMUS_VECTORS, type IsthmusVector } from '../reference/isthmusVectors.ts';
import type { GpuFeature } from './encoder.ts';
import type { TensorPlan } from './family.ts';
import { placeWork } from './framePlan.ts';
import { expectSame, requestDevice, upload } from './gpuTesting.fixture.ts';
import { planTensor } from './isthmusFamily.ts';
import { Recorder } from './recorder.ts';
import { HARDWARE, SOFTWARE } from './tuning.ts';

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice();
});
afterAll(() => device.destroy());

/** How many tensors had their lanes coded on the GPU, and how many did so in vain because the symbols are smaller. */
const lanes = { used: 0, dropped: 0 };

/** Encodes by a plan that need not come from params. */
async function encodeBy(plan: TensorPlan, feature: GpuFeature, byteLength: number): Promise<EncodedTensor> {
  const frame = placeWork([plan], device.limits);
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const buffer = (label: string, size: number, usage: number) =>
    device.createBuffer({ label, size: Math.max(4, size), usage: usage | COPY_DST });
  const arena = buffer('test arena', frame.arenaBytes, STORAGE | COPY_SRC);
  const readback = buffer('test readback', frame.outputBytes, MAP_READ);
  const recorder = new Recorder(device);
  const compiled = await recorder.compile(frame);
  const commands = device.createCommandEncoder({ label: 'test' });
  const input = { buffer: feature.buffer, offset: feature.offset ?? 0, byteLength };
  recorder.record(commands, frame, compiled, [input], arena);
  commands.copyBufferToBuffer(arena, 0, readback, 0, frame.outputBytes);
  device.queue.submit([commands.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const mapped = readback.getMappedRange();
  try {
    const { ranges } = frame.tensors[0]!;
    const output = (name: string) => new Uint8Array(mapped, ranges.get(name)!.offset, ranges.get(name)!.size);
    if (plan.regions.lanes) {
      const words = new Uint32Array(mapped, ranges.get('lanes')!.offset, 2)[1]!;
      lanes[2 * words <= output('quantised').length ? 'used' : 'dropped']++;
    }
    return plan.read(output);
  } finally {
    arena.destroy();
    readback.destroy();
    recorder.destroy();
  }
}

const wanted = new Map<string, EncodedTensor>();
function referenceOf({ name, shape, plan, data }: IsthmusVector): EncodedTensor {
  const known = wanted.get(name) ?? encodeIsthmus(data(), shape, plan);
  wanted.set(name, known);
  return known;
}

describe.each([
  { name: 'hardware', tuning: HARDWARE },
  { name: 'hardware, lanes on the GPU', tuning: { ...HARDWARE, lanesFrom: 0 } },
  { name: 'software, lanes on the GPU', tuning: { ...SOFTWARE, lanesFrom: 0 } },
])('with the $name tuning', ({ tuning }) => {
  beforeAll(() => {
    lanes.used = lanes.dropped = 0;
  });

  test.each(ISTHMUS_VECTORS)('$name', async (vector) => {
    const { name, shape, plan, data, refused } = vector;
    const input = data();
    const feature = upload(device, input, shape, 'float32', 4);
    const count = input.length;
    const job = planTensor({ dtype: 'float32', shape, count, byteLength: 4 * count }, plan, tuning);
    const encoded = encodeBy(job, feature, 4 * count);
    if (refused) await expect(encoded).rejects.toMatchObject({ code: 'FEATURE_NOT_FINITE' });
    else expectSame(await encoded, referenceOf(vector), name);
    feature.buffer.destroy();
  });

  test('lanes were coded where they should be', () => {
    const onGpu = tuning.lanesFrom === 0;
    expect(lanes.used > 80).toBe(onGpu);
    expect(lanes.dropped > 0).toBe(onGpu);
  });
});
