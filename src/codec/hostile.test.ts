// Frames from an enemy, for every family and every entry point: 200 000 damaged ones end in typed errors or in one answer of
// all decoders, quickly; nothing makes a decoder allocate more than it may; no flipped bit and no truncation passes. The long
// form is scripts/fuzz.ts. Crafted tensors of single families: hostileRans.test.ts, hostileIsthmus.test.ts. Memory with that
// of the kernels: hostileMemory.test.ts.
import { describe, expect, test } from 'vitest';
import { frameChecksum } from '../wire/crc32.ts';
import { readFrame } from '../wire/readFrame.ts';
import { measureAllocation } from './allocation.fixture.ts';
import { extremes } from './extremes.fixture.ts';
import { Fuzzer, MILLION, SLOWEST_MS } from './fuzz.fixture.ts';
import { extremeFrames, frameOf, makeSeeds } from './hostileSeeds.fixture.ts';
import { decode, decodeFrame, openTokens, readTokens, type Tensor } from './index.ts';
import { mutateFrame, pick } from './mutate.fixture.ts';
import { codeOf } from './outcome.fixture.ts';
import { countedBytes, LIMITS } from './params.ts';
import { madeProfileByName } from './reference/isthmusProfiles.ts';
import { randomBits } from './reference/vectors.ts';
import { wasmKernels } from './wasm/kernels.ts';

const FRAMES = 200_000;
const MEBI = 2 ** 20;
/** What the heap may seem to grow by, compiled code and the test runner's own doings among it: an array of a million numbers is as much. */
const HEAP_NOISE = 8 * MEBI;
const profiles = madeProfileByName;

/** Measured up to three times while the heap seems to grow: what the decoder takes it takes each time, the rest is noise. */
function measureSteadily<T>(action: () => T, collect?: boolean) {
  let made = measureAllocation(action, collect);
  for (let again = 0; again < 2 && made.heap > HEAP_NOISE; again++) made = measureAllocation(action);
  return made;
}

test('damaged frames: typed errors only, none slow, and one answer from WebAssembly, TypeScript and reference', {
  timeout: 300_000,
}, () => {
  const fuzzer = new Fuzzer(20_261_121);
  for (let n = 0; n < FRAMES; n++) fuzzer.step();
  console.table(
    Object.fromEntries(
      [...fuzzer.rows].map(([family, { refused, ...row }]) => [family, { ...row, ...refused }]),
    ),
  );
  expect([...fuzzer.rows.keys()].sort()).toEqual([
    'extreme',
    'image',
    'isthmus',
    'rans',
    'raw',
    'several',
    'slicer',
    'token',
  ]);
  for (const [family, row] of fuzzer.rows) {
    expect(row.slowestMs, family).toBeLessThan(SLOWEST_MS);
    expect(row.slowestOpenMs, family).toBeLessThan(SLOWEST_MS);
    expect(row.open / row.frames, family).toBeCloseTo(1 / 8, 1);
    if (family === 'extreme') {
      expect(row.frames).toBeGreaterThan(FRAMES / 1000);
      expect(row.accepted).toBeGreaterThan(30);
      expect(row.refused.FRAME_INVALID).toBeGreaterThan(50);
      continue;
    }
    expect(row.frames, family).toBeGreaterThan(10_000);
    expect(row.accepted, family).toBeGreaterThan(500);
    expect(row.refused.FRAME_INVALID, family).toBeGreaterThan(3000);
    for (const code of ['FRAME_CORRUPT', 'FRAME_VERSION', 'TOO_LARGE', 'CODEC_INVALID'])
      expect(row.refused[code] ?? 0, `${family} ${code}`).toBeGreaterThan(3);
  }
  for (const family of ['slicer', 'rans', 'isthmus', 'several', 'token']) {
    expect(fuzzer.rows.get(family)!.compared, family).toBeGreaterThan(20_000);
    expect(fuzzer.rows.get(family)!.byKernels, family).toBeGreaterThan(3000); // accepted, that is
  }
});

describe('the bound on elements', () => {
  test('a million take less than 50 ms at their dearest: everything right but the last byte', () => {
    let slowest = 0;
    for (const sound of extremeFrames(MILLION)) {
      const tensor = readFrame(sound).tensors[0]!;
      for (const flip of [0, 1]) {
        const payload = tensor.payload.slice();
        if (payload.length > 0) payload[payload.length - 1]! ^= flip;
        const bytes = frameOf({ ...tensor, payload });
        const tries = Array.from({ length: 6 }, () => {
          const before = process.threadCpuUsage();
          codeOf(() => decodeFrame(bytes, { maxElements: MILLION }));
          const { user, system } = process.threadCpuUsage(before);
          return (user + system) / 1000;
        });
        slowest = Math.max(slowest, Math.min(...tries));
      }
    }
    console.info(`a million elements: ${slowest.toFixed(1)} ms of the processor at most`);
    expect(slowest).toBeLessThan(SLOWEST_MS);
  });

  test('is summed over the frame and looked at before anything is decoded', () => {
    const [first] = extremeFrames(2 ** 12);
    const { tensors } = readFrame(first!);
    const three = frameOf(tensors[0]!, tensors[0]!, { ...tensors[0]!, params: new Uint8Array(3) });
    const outcome = (maxElements?: number) =>
      codeOf(() => decodeFrame(three, maxElements === undefined ? {} : { maxElements }));
    expect(outcome(3 * 2 ** 12 - 1)).toBe('TOO_LARGE'); // though the last is damaged
    expect(outcome(3 * 2 ** 12)).toBe('FRAME_INVALID');
    expect(outcome()).toBe('FRAME_INVALID');
    expect(codeOf(() => decodeFrame(first!, { maxElements: 2 ** 12 }))).toBe('accepted');
    expect(codeOf(() => decode(tensors[0]!, { maxElements: 2 ** 12 - 1 }))).toBe('TOO_LARGE');
    expect(() => decode(tensors[0]!, { maxElements: 100 })).toThrow(/maxElements.*raise it/);
    const { buffers } = measureAllocation(() => codeOf(() => decodeFrame(three, { maxElements: 100 })));
    expect(buffers).toBeLessThan(4096);
  });

  test('holds for every token of a context', () => {
    const hidden: Tensor = { dtype: 'float32', shape: [2, 64], data: new Float32Array(128).fill(0.5) };
    const writer = openTokens([hidden]);
    expect(codeOf(() => readTokens(writer.opening, { maxElements: 127 }))).toBe('TOO_LARGE');
    const reader = readTokens(writer.opening, { maxElements: 128 });
    expect(codeOf(() => reader.decode(writer.encode([hidden])))).toBe('accepted');
  });
});

describe('memory', () => {
  test.each([12, 20, 22, 24])('2^%i elements out of a hundred bytes', (log) => {
    const count = 2 ** log;
    for (const [name, plain] of Object.entries(extremes(count)))
      for (const dtype of ['float32', 'float16'] as const) {
        const tensor = { ...plain, dtype };
        const bytes = frameOf(tensor);
        expect(bytes.length).toBeLessThan(250);
        // Of what was declared, not only of the limit. Kernels keep their memory for later calls.
        const declared = count * countedBytes(tensor.family, dtype);
        const allowed = declared + 2 * bytes.length + MEBI;
        const made = measureSteadily(() => codeOf(() => decodeFrame(bytes)));
        if (made.buffers > allowed || made.heap > HEAP_NOISE)
          expect.fail(`${name}, ${dtype}: ${JSON.stringify(made)}`);
        expect(made.value, name).toBe(name.endsWith('wrong') ? 'FRAME_INVALID' : 'accepted');
        expect(wasmKernels()!.memory.buffer.byteLength, name).toBeLessThanOrEqual(32 * MEBI);
      }
  });

  test('damaged frames: at most the limit, twice the frame and a mebibyte', () => {
    const random = randomBits(20_261_128);
    const seeds = Object.values(makeSeeds().frames);
    let most = 0;
    const cases = 5000;
    for (let n = 0; n < cases; n++) {
      const bytes = mutateFrame(pick(pick(seeds, random), random), pick(pick(seeds, random), random), random);
      const decoding = () => codeOf(() => decodeFrame(bytes, { profiles }));
      const { buffers, heap } = measureSteadily(decoding, n % 50 === 0);
      most = Math.max(most, buffers);
      if (buffers > LIMITS.outputBytes + 2 * bytes.length + MEBI || heap > HEAP_NOISE)
        expect.fail(
          `case ${n}: ${buffers} in buffers, ${heap} on the heap: ${Buffer.from(bytes).toString('base64')}`,
        );
    }
    console.info(`${cases} damaged frames, the most memory for one: ${(most / MEBI).toFixed(2)} MiB`);
  });

  test('the counter counts', () => {
    const { buffers, heap } = measureAllocation(() => [
      new Float32Array(1000).slice(0, 500).map((x) => x),
      Uint8Array.from([1, 2, 3]),
      new Uint16Array(new ArrayBuffer(64)),
      Array.from({ length: 100_000 }, (_, i) => i + 0.5),
    ]);
    expect(buffers).toBe(4000 + 2000 + 2000 + 3 + 64);
    expect(heap).toBeGreaterThan(400_000);
    const { memory } = wasmKernels()!;
    const size = memory.buffer.byteLength;
    expect(measureAllocation(() => memory.grow(3)).kernels).toBe(3 * 65_536);
    expect(memory.buffer.byteLength).toBe(size + 3 * 65_536);
  });

  test.each([0xffffffff, 0x80000000, 0x7fffffff])(
    '64 bytes that declare %i elements by as many',
    (dimension) => {
      const bytes = frameOf({ ...extremes(4096)['a constant']!, shape: [1, 1], params: new Uint8Array(0) });
      const small = new Uint8Array(64); // without its meta
      small.set(bytes.subarray(0, 52));
      const view = new DataView(small.buffer);
      view.setUint16(6, 64, true);
      view.setUint32(8, 64, true);
      view.setUint32(28, 12, true);
      view.setUint32(44, dimension, true);
      view.setUint32(48, dimension, true);
      view.setUint32(12, frameChecksum(small), true);
      codeOf(() => decodeFrame(small)); // compiles what it needs
      const made = [1, 2, 3].map(() => measureAllocation(() => codeOf(() => decodeFrame(small))));
      expect(made.map(({ value }) => value)).toEqual(Array(3).fill('TOO_LARGE'));
      const least = Math.min(...made.map(({ bytes }) => bytes)); // the heap does not only grow by what we do
      console.info(`64 bytes that declare ${dimension} by ${dimension}: ${least} bytes`);
      expect(least).toBeLessThan(65_536);
    },
  );
});

describe('damage on the way', () => {
  const { frames } = makeSeeds(200);

  test.each(Object.entries(frames))('%s: every flipped bit and every truncation is found', (_, all) => {
    for (const frame of all.filter(({ length }) => length <= 400)) {
      for (let bit = 0; bit < 8 * frame.length; bit++) {
        const bytes = frame.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const code = codeOf(() => decodeFrame(bytes, { profiles }));
        if (code === 'accepted' || (bit >= 96 && code !== 'FRAME_CORRUPT'))
          expect.fail(`bit ${bit}: ${code}`);
      }
      for (let length = 0; length < frame.length; length++)
        if (codeOf(() => decodeFrame(frame.subarray(0, length), { profiles })) !== 'FRAME_INVALID')
          expect.fail(`${length} of ${frame.length} bytes`);
    }
  });
});
