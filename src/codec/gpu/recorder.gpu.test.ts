// What the recorder promises families beyond what slicer uses: constant tables, uploaded once; several stages in order;
// regions that are zero at first, read back or both; the feature behind an offset, as float16 too.
import { afterAll, beforeAll, expect, test } from 'vitest';
import featureLib from '../../../shaders/lib/feature.wgsl?raw';
import type { Stage, TensorPlan } from './family.ts';
import { placeWork } from './framePlan.ts';
import { requestDevice, upload } from './gpuTesting.fixture.ts';
import { Recorder } from './recorder.ts';

const PARAMS = `
struct Params { count: u32, first: u32, factor: u32 }
@group(0) @binding(0) var<uniform> params: Params;
`;
const SCALE = `${PARAMS}
@group(0) @binding(1) var<storage, read_write> scaled: array<u32>;
@group(1) @binding(1) var<storage, read> table: array<u32>;
@group(1) @binding(2) var<storage, read> more: array<u32>;
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.count) {
    scaled[id.x] = u32(bitcast<f32>(featureBits(id.x))) * params.factor + table[id.x] + more[0];
  }
}`;
const ADD = `${PARAMS}
@group(0) @binding(1) var<storage, read_write> total: atomic<u32>;
@group(0) @binding(2) var<storage, read_write> scaled: array<u32>;
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.count) {
    atomicAdd(&total, scaled[id.x] + params.first);
  }
}`;

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice();
});
afterAll(() => device.destroy());

const COUNT = 70;
const table = Uint32Array.from({ length: COUNT }, (_, i) => i * i);
const more = Uint32Array.of(1000);

function planOf(half: boolean, factor: number): TensorPlan {
  const uniform = Uint32Array.of(COUNT, 0, factor);
  const stage = (name: string, code: string, storage: string[], rest: Partial<Stage>): Stage => {
    const constants = code.includes('featureBits') ? { FEATURE_FLOAT16: half ? 1 : 0 } : {};
    return { uniform, storage, dispatches: [{ pass: { name, code, constants }, workgroups: 3 }], ...rest };
  };
  return {
    regions: {
      scaled: { bytes: COUNT * 4 },
      total: { bytes: 4, zeroed: true, output: true },
    },
    stages: [
      stage('test scale', featureLib + SCALE, ['scaled'], { tables: [table, more] }),
      stage('test add', ADD, ['total', 'scaled'], {}),
    ],
    read: () => expect.unreachable(),
  };
}

test('tables, stages, zeroed outputs, offsets', async () => {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const recorder = new Recorder(device);
  const made: string[] = [];
  const { createBuffer } = device;
  device.createBuffer = (descriptor) => {
    made.push(descriptor.label ?? '');
    return createBuffer.call(device, descriptor);
  };
  const floats = Float32Array.from({ length: COUNT }, (_, i) => i);
  const halves = Uint16Array.from({ length: COUNT }, (_, i) => (i === 0 ? 0 : halfOf(i)));
  try {
    for (const factor of [1, 7]) {
      const plans = [planOf(false, factor), planOf(true, factor)];
      const frame = placeWork(plans, device.limits);
      const compiled = await recorder.compile(frame);
      const inputs = [
        upload(device, floats, [COUNT], 'float32', 260),
        upload(device, halves, [COUNT], 'float16', 12),
      ].map(({ buffer, offset = 0 }, i) => ({ buffer, offset, byteLength: COUNT * (i === 0 ? 4 : 2) }));
      const arena = device.createBuffer({ size: frame.arenaBytes, usage: STORAGE | COPY_SRC | COPY_DST });
      device.queue.writeBuffer(arena, 0, new Uint8Array(frame.arenaBytes).fill(0xa5));
      const readback = device.createBuffer({ size: frame.outputBytes, usage: MAP_READ | COPY_DST });
      const commands = device.createCommandEncoder();
      expect(recorder.record(commands, frame, compiled, inputs, arena)).toBe(4);
      commands.copyBufferToBuffer(arena, 0, readback, 0, frame.outputBytes);
      device.queue.submit([commands.finish()]);
      await readback.mapAsync(GPUMapMode.READ);
      const mapped = new Uint32Array(readback.getMappedRange());
      const totals = frame.tensors.map(({ ranges }) => mapped[ranges.get('total')!.offset / 4]);
      const sum = floats.reduce((all, x, i) => all + x * factor + table[i]! + 1000, 0);
      // The first word of the feature in its binding: offsets are multiples of 256 in WebGPU.
      expect(totals).toEqual([sum + COUNT * 1, sum + COUNT * 3]);
    }
  } finally {
    Object.assign(device, { createBuffer });
    recorder.destroy();
  }
  expect(made.filter((label) => label === 'isthmus codec table')).toHaveLength(2);
});

/** float16 pattern of a whole number from 1 to 2047. */
function halfOf(x: number): number {
  const e = 31 - Math.clz32(x);
  return ((e + 15) << 10) | ((x << (10 - e)) & 0x3ff);
}

test('a uniform that would run into the next one is refused', async () => {
  const recorder = new Recorder(device);
  const plan = planOf(false, 1);
  const frame = placeWork(
    [{ ...plan, stages: [{ ...plan.stages[0]!, uniform: new Uint32Array(65) }] }],
    device.limits,
  );
  const compiled = await recorder.compile(frame);
  const { buffer } = upload(device, new Float32Array(COUNT));
  const commands = device.createCommandEncoder();
  const record = () =>
    recorder.record(commands, frame, compiled, [{ buffer, offset: 0, byteLength: 4 }], buffer);
  expect(record).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  recorder.destroy();
});
