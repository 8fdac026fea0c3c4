// Frames from an enemy: tens of thousands of mutations, half of them with a checksum made right again so that the
// decoder itself is reached. Only IsthmusErrors, no long call, no large allocation; and the fast decoder agrees with
// the reference on what it accepts.
import { expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { frameChecksum } from '../wire/crc32.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { decodeFrame, encodeFrame } from './index.ts';
import { LIMITS, PRESETS, type PresetName } from './params.ts';
import { decodeSlicer as slowDecode } from './reference/decodeSlicer.ts';
import { encodeSlicer } from './reference/encodeSlicer.ts';
import { toFloat16 } from './reference/float16.ts';
import { randomBits, VECTORS } from './reference/vectors.ts';

const MUTATIONS = 60_000;
const ALLOCATION_SLACK = 2 ** 20;

const seeds = VECTORS.filter((v) => v.shape.reduce((a, b) => a * b) <= 1300 && !v.refused).map((v) => {
  const slicer = encodeSlicer(v.data(), v.shape, v.plan);
  const raw = {
    family: 'raw',
    dtype: 'int8',
    shape: [5],
    flags: 0,
    params: new Uint8Array(0),
    payload: new Uint8Array(5),
  } as const;
  return writeFrame({
    kind: 'request',
    modelTag: 'feedfacecafebeef',
    cut: 1,
    meta: { n: [1] },
    tensors: [slicer, raw],
  });
});

/** Every preset with float32, float16 and integers in one frame; and a picture, which no tensor codec decodes. */
const mixed = (Object.keys(PRESETS) as PresetName[]).map((codec) => {
  const data = Float32Array.from({ length: 96 }, (_, i) => Math.fround(Math.sin(i * 1.7) * (i % 5)));
  return encodeFrame(
    [
      { dtype: 'float16', shape: [4, 24], data: toFloat16(data) },
      { dtype: 'float32', shape: [96], data },
      { dtype: 'int8', shape: [5], data: new Int8Array(5) },
      { dtype: 'float16', shape: [7], data: new Uint16Array(7).fill(0x3c00) },
    ],
    { codec },
  );
});
const picture = writeFrame({
  kind: 'request',
  modelTag: 'feedfacecafebeef',
  cut: 0xffff,
  meta: {},
  tensors: [
    {
      family: 'image',
      dtype: 'uint8',
      shape: [8, 8, 3],
      flags: 0,
      params: new Uint8Array(4),
      payload: new Uint8Array(9),
    },
  ],
});
const all = [...seeds, ...mixed, ...mixed, picture];

const INTERESTING = [
  0, 1, 2, 31, 32, 33, 0x7f, 0xff, 0xffff, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xffffffff,
];

/** A changed copy; most changes fall into headers and params, where they hurt most. */
function mutate(seed: Uint8Array, random: () => number): Uint8Array {
  let bytes = seed.slice();
  for (let n = 1 + (random() % 3); n > 0 && bytes.length > 4; n--) {
    const reach = random() % 3 === 0 ? bytes.length : Math.min(bytes.length, 140);
    const at = random() % reach;
    const word = at & ~3;
    const view = new DataView(bytes.buffer);
    switch (random() % 7) {
      case 0:
        bytes[at]! ^= 1 << (random() & 7);
        break;
      case 1:
        bytes[at] = random();
        break;
      case 2:
        if (word + 4 <= bytes.length) view.setUint32(word, INTERESTING[random() % INTERESTING.length]!, true);
        break;
      case 3:
        if (word + 4 <= bytes.length)
          view.setUint32(word, view.getUint32(word, true) + (random() % 9) - 4, true);
        break;
      case 4:
        bytes = bytes.slice(0, at);
        break;
      case 5:
        bytes.copyWithin(at, random() % bytes.length, random() % bytes.length);
        break;
      default: {
        const grown = new Uint8Array(bytes.length + 4 * (random() % 8));
        grown.set(bytes);
        bytes = grown;
      }
    }
  }
  return bytes;
}

function repair(bytes: Uint8Array): void {
  if (bytes.length < 32) return;
  const view = new DataView(bytes.buffer);
  view.setUint32(8, bytes.length, true);
  view.setUint32(12, frameChecksum(bytes), true);
}

function attempt(action: () => unknown): string {
  try {
    action();
    return 'accepted';
  } catch (e) {
    if (e instanceof IsthmusError) return e.code;
    throw e;
  }
}

/** Processor time of this thread: other programs on the machine do not count. */
function cpuMilliseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

test('mutated frames', () => {
  const random = randomBits(20_261_121);
  const outcomes: Record<string, number> = {};
  let slowest = 0;
  for (let n = 0; n < MUTATIONS; n++) {
    const bytes = mutate(all[random() % all.length]!, random);
    if (n % 2) repair(bytes);
    const before = process.memoryUsage().arrayBuffers;
    const began = cpuMilliseconds();
    const outcome = attempt(() => decodeFrame(bytes));
    let ms = cpuMilliseconds() - began;
    const grown = process.memoryUsage().arrayBuffers - before;
    // Half as much again: float16 is float32 before it is rounded.
    if (grown > 1.5 * LIMITS.outputBytes + 2 * bytes.length + ALLOCATION_SLACK)
      expect.fail(`${n} allocated ${grown} bytes`);
    for (let again = 0; ms > 50 && again < 3; again++) {
      const start = cpuMilliseconds(); // a garbage collection may have fallen into the first measurement
      attempt(() => decodeFrame(bytes));
      ms = Math.min(ms, cpuMilliseconds() - start);
    }
    slowest = Math.max(slowest, ms);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  console.info(`${MUTATIONS} mutated frames, slowest ${slowest.toFixed(1)} ms:`, outcomes);
  expect(slowest).toBeLessThan(50);
  for (const code of [
    'FRAME_INVALID',
    'FRAME_CORRUPT',
    'FRAME_VERSION',
    'TOO_LARGE',
    'CODEC_INVALID',
    'accepted',
  ])
    expect(outcomes[code]).toBeGreaterThan(10);
});

test('fast and reference decoder accept the same mutated tensors, with the same values', () => {
  const random = randomBits(4711);
  let accepted = 0;
  let refused = 0;
  for (let n = 0; n < 12_000; n++) {
    const frame = readFrame(seeds[random() % seeds.length]!);
    const tensor = frame.tensors[0]!;
    const [params, payload] = [tensor.params.slice(), tensor.payload.slice()];
    const target = payload.length && random() % 2 ? payload : params;
    target[random() % target.length] = random() % 4 ? random() : INTERESTING[random() % INTERESTING.length]!;
    const changed = { ...tensor, params, payload, flags: random() % 8 ? tensor.flags : random() & 7 };
    let fast: unknown;
    let slow: unknown;
    const fastOutcome = attempt(
      () => (fast = decodeFrame(writeFrame({ ...frame, tensors: [changed] })).tensors[0]!.data),
    );
    const slowOutcome = attempt(() => (slow = slowDecode(changed)));
    if (fastOutcome !== slowOutcome) expect.fail(`case ${n}: fast ${fastOutcome}, reference ${slowOutcome}`);
    expect(fast).toEqual(slow);
    if (fastOutcome === 'accepted') accepted++;
    else refused++;
  }
  expect(accepted).toBeGreaterThan(1000);
  expect(refused).toBeGreaterThan(1000);
});
