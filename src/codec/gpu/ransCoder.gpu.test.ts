// The entropy coder's two passes alone, as a family with lanes of its own would use them: contiguous ranges of unequal
// length, empty ones among them, tables that change from step to step, and raw bits. The stream equals the reference's.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LaneEncoder, writeStream } from '../reference/rans.ts';
import { cumulative, normalise } from '../reference/ransTable.ts';
import { randomBits } from '../reference/vectors.ts';
import type { TensorPlan } from './family.ts';
import { placeWork } from './framePlan.ts';
import { requestDevice } from './gpuTesting.fixture.ts';
import { coderRegions, coderStage, readStream } from './ransCoder.ts';
import { Recorder } from './recorder.ts';
import { HARDWARE, SOFTWARE, type Tuning } from './tuning.ts';

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice();
});
afterAll(() => device.destroy());

interface Range {
  first: number;
  end: number;
  stride: number;
}

/** Runs the passes over given steps and lanes. */
async function streamOf(steps: Uint32Array, ranges: readonly Range[], tuning: Tuning): Promise<Uint8Array> {
  const bounds = { steps: steps.length, lanes: ranges.length, payloadBytes: 2 * steps.length };
  const plan: TensorPlan = {
    regions: coderRegions(bounds),
    stages: [coderStage(bounds, tuning)],
    read: () => expect.unreachable(),
  };
  const frame = placeWork([plan], device.limits);
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const buffer = (label: string, size: number, usage: number) =>
    device.createBuffer({ label, size, usage: usage | COPY_DST });
  const arena = buffer('test arena', frame.arenaBytes, STORAGE | COPY_SRC);
  const readback = buffer('test readback', frame.outputBytes, MAP_READ);
  const recorder = new Recorder(device);
  const compiled = await recorder.compile(frame);

  const place = frame.tensors[0]!.ranges;
  const lanes = new Uint32Array(2 + 6 * ranges.length);
  lanes[0] = ranges.length;
  let words = 0;
  ranges.forEach(({ first, end, stride }, lane) => {
    words += Math.ceil(Math.ceil(Math.max(0, end - first) / stride) / 2);
    lanes.set([first, end, stride, words], 2 + 6 * lane);
  });
  device.queue.writeBuffer(arena, place.get('steps')!.offset, steps.buffer as ArrayBuffer);
  device.queue.writeBuffer(arena, place.get('lanes')!.offset, lanes);
  const commands = device.createCommandEncoder({ label: 'test' });
  recorder.record(
    commands,
    frame,
    compiled,
    [{ buffer: buffer('test feature', 256, STORAGE), offset: 0, byteLength: 256 }],
    arena,
  );
  commands.copyBufferToBuffer(arena, 0, readback, 0, frame.outputBytes);
  device.queue.submit([commands.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const mapped = readback.getMappedRange();
  const output = (name: string) => new Uint8Array(mapped, place.get(name)!.offset, place.get(name)!.size);
  const { lanes: count, stream } = readStream(output('lanes'), output('payload'));
  expect(count).toBe(ranges.length);
  return stream;
}

/** Steps as [frequency, sum]: symbols of one of four tables, and raw bits between them. */
function mixedSteps(count: number, seed: number): [number, number][] {
  const next = randomBits(seed);
  const tables = [1, 2, 16, 200].map((symbols) => {
    const table = normalise(Array.from({ length: symbols }, () => next() % 1000));
    return { table, sums: cumulative(table) };
  });
  return Array.from({ length: count }, () => {
    const raw = next() % 13;
    if (next() % 4 === 0) return [2 ** (12 - raw), (next() % 2 ** raw) * 2 ** (12 - raw)];
    const { table, sums } = tables[next() % 4]!;
    const slot = next() % 4096;
    const symbol = table.findIndex((f, s) => sums[s]! <= slot && slot < sums[s]! + f);
    return [table[symbol]!, sums[symbol]!];
  });
}

const contiguous = (ends: number[]): Range[] =>
  ends.map((end, lane) => ({ first: lane === 0 ? 0 : ends[lane - 1]!, end, stride: 1 }));

test.each([
  ['one lane', contiguous([4000])],
  ['lanes of unequal length', contiguous([1, 2, 900, 908, 917, 2000, 3999, 4000])],
  ['empty lanes in front, between and behind', contiguous([0, 0, 700, 700, 700, 701, 4000, 4000])],
  ['300 lanes', contiguous(Array.from({ length: 300 }, (_, lane) => Math.floor(((lane + 1) * 4000) / 300)))],
  ['only empty lanes', contiguous([0, 0, 0])],
  ['interleaved', Array.from({ length: 64 }, (_, lane) => ({ first: lane, end: 4000, stride: 64 }))],
  [
    'interleaved, more lanes than steps',
    Array.from({ length: 512 }, (_, lane) => ({ first: lane, end: 400, stride: 512 })),
  ],
] as [string, Range[]][])('%s', async (_, ranges) => {
  const steps = mixedSteps(4000, 99);
  const packed = Uint32Array.from(steps, ([frequency, sum]) => (frequency - 1) | (sum << 12));
  const wanted = writeStream(
    ranges.map(({ first, end, stride }) => {
      const encoder = new LaneEncoder();
      const own = steps.filter((_, i) => i >= first && i < end && (i - first) % stride === 0);
      for (const [frequency, sum] of own.reverse()) encoder.put(frequency, sum);
      return encoder.finish();
    }),
  );
  for (const tuning of [SOFTWARE, HARDWARE]) {
    const stream = await streamOf(packed, ranges, tuning);
    expect(stream.length).toBe(wanted.length);
    expect(stream.findIndex((byte, i) => byte !== wanted[i])).toBe(-1);
  }
});
