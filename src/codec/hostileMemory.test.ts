// The most that a frame can make a decoder allocate, kernels' memory included: 64 MiB, twice the frame and a mebibyte, for
// the largest tensors of every family, alone and together. Counted from an instance of the kernels that is yet to be made,
// and every buffer counts though it may be garbage by then. Damaged frames: hostile.test.ts.
import { beforeAll, describe, expect, test } from 'vitest';
import { measureAllocation } from './allocation.fixture.ts';
import { extremes } from './extremes.fixture.ts';
import { frameOf } from './hostileSeeds.fixture.ts';
import { decodeFrame, encode, encodeFrame } from './index.ts';
import { codeOf } from './outcome.fixture.ts';
import { type EncodedTensor, LIMITS } from './params.ts';
import { madeProfile, madeProfileByName } from './reference/isthmusProfiles.ts';
import { plainSetup, writeIsthmusParams } from './reference/isthmusSetup.ts';
import { KEEP_BYTES, MAX_DECODED_ELEMENTS } from './wasm/arena.ts';
import { dropKernels, wasmKernels } from './wasm/kernels.ts';

const MEBI = 2 ** 20;
const profile = madeProfile(99, {
  channels: 256,
  rank: 256,
  transform: {
    shiftA: 13,
    shiftB: 13,
    analysis: new Int16Array(256 * 256).fill(64),
    synthesis: new Int16Array(256 * 256).fill(64),
  },
});
const profiles = (name: string) => (name === profile.name ? profile : madeProfileByName(name));

/** Coefficients that are all zero, in a view of any shape: one lane, a table that costs nothing, neighbours kept. */
function zeros(shape: number[], block: [number, number]): EncodedTensor {
  const tables = new Uint16Array(15 * 27);
  for (let k = 0; k < 15; k++) tables[27 * k] = 4096;
  const header = { lanes: 1, shift: 0, step: 65536, nonnegative: false, sent: tables };
  return {
    ...{ family: 'isthmus', dtype: 'float32', shape, flags: 0 },
    params: writeIsthmusParams(header, plainSetup(shape, 128, block, [0, 0], tables)),
    payload: Uint8Array.of(0, 0, 1, 0),
  };
}

/** Every family at its dearest, of `count` elements. */
function largest(count: number): Record<string, EncodedTensor> {
  const side = 2 ** Math.floor(Math.log2(count) / 2);
  return {
    ...extremes(count),
    'isthmus, one row': zeros([count], [1, 1]),
    'isthmus, one column': zeros([count, 1], [1, 1]),
    'isthmus, one plane of blocks': zeros([count / side, side], [16, 16]),
    'isthmus, four planes of blocks': zeros([4, count / side / 4, side], [16, 1]),
  };
}

/** Noise that no codec makes small, as an encoder writes it. */
function dense(count: number): Record<string, EncodedTensor> {
  const data = Float32Array.from({ length: count }, (_, i) => ((i * 48_271) % 65_537) / 32_768 - 1);
  const tensor = { dtype: 'float32' as const, shape: [256, count / 256 / 64, 64], data };
  return {
    slicer: encode(tensor, {
      family: 'slicer',
      keep: 1,
      asymmetry: 1,
      blocks: 16,
      budget: { kind: 'integer', delta: 0 },
    }),
    rans: encode(tensor, { family: 'rans', bits: 8 }),
    isthmus: encode(tensor, { family: 'isthmus', quality: 100 }),
    'isthmus, 256 channels': encode(tensor, { family: 'isthmus', profile, quality: 50 }),
  };
}

/** @returns the outcome, and what it took beyond twice the frame, in MiB */
function taken(bytes: Uint8Array): { code: string; mebi: number; kernels: number } {
  dropKernels();
  const made = measureAllocation(() => codeOf(() => decodeFrame(bytes, { profiles })));
  const mebi = (made.buffers + made.kernels - 2 * bytes.length) / MEBI;
  return { code: made.value, mebi, kernels: made.kernels / MEBI };
}

const ALLOWED = LIMITS.outputBytes / MEBI + 1;

beforeAll(() => {
  // Tables of the format and of the profile are kept from their first use on.
  for (const tensor of Object.values({ ...largest(2 ** 12), ...dense(2 ** 14) }))
    expect(['accepted', 'FRAME_INVALID']).toContain(taken(frameOf(tensor)).code);
});

describe('one tensor', () => {
  test.each([20, 21, 24])('2^%i elements of every family', (log) => {
    let most = 0;
    for (const [i, [name, plain]] of Object.entries(largest(2 ** log)).entries()) {
      const dtype = (i + log) % 2 ? 'float16' : 'float32';
      const { code, mebi } = taken(frameOf({ ...plain, dtype }));
      expect(code, name).toBe(name.endsWith('wrong') ? 'FRAME_INVALID' : 'accepted');
      expect(mebi, `${name}, ${dtype}`).toBeLessThanOrEqual(ALLOWED);
      most = Math.max(most, mebi);
    }
    console.info(`2^${log} elements: at most ${most.toFixed(2)} MiB beyond twice the frame`);
  });

  test('noise, up to what kernels decode: their memory is kept', () => {
    for (const log of [20, 21])
      for (const [name, tensor] of Object.entries(dense(2 ** log))) {
        const { code, mebi, kernels } = taken(frameOf(tensor));
        console.info(`${name}, 2^${log}: ${mebi.toFixed(1)} MiB, kernels ${kernels.toFixed(1)} MiB`);
        expect(code, name).toBe('accepted');
        expect(mebi, name).toBeLessThanOrEqual(ALLOWED);
        expect(wasmKernels()!.memory.buffer.byteLength, name).toBeGreaterThan(0);
        expect(kernels, name).toBeLessThanOrEqual(KEEP_BYTES / MEBI);
      }
  });
});

/** In memory, one or two of each family. */
const DEAREST = [
  'slicer, all survive with one value',
  'rans, one symbol',
  'isthmus, one row',
  'isthmus, one plane of blocks',
];

describe('several tensors', () => {
  test.each([
    ['up to the limit, each small enough for the kernels', MAX_DECODED_ELEMENTS, 8],
    ['up to the limit, 64 of them', 2 ** 18, 64],
    ['as many as go with the kernels', MAX_DECODED_ELEMENTS, 4],
    ['as many as go with the kernels, smaller', 2 ** 20, 8],
  ])('%s', (_, count, copies) => {
    let most = 0;
    for (const [name, tensor] of Object.entries(largest(count))) {
      if (!DEAREST.includes(name)) continue;
      const { mebi } = taken(frameOf(...Array<EncodedTensor>(copies).fill(tensor)));
      expect(mebi, name).toBeLessThanOrEqual(ALLOWED);
      most = Math.max(most, mebi);
    }
    console.info(`${copies} of ${count} elements: at most ${most.toFixed(2)} MiB beyond twice the frame`);
  });

  test('every family, first what makes the kernels grow, then what they leave to TypeScript', () => {
    const { slicer, rans, isthmus } = dense(MAX_DECODED_ELEMENTS);
    const { code, mebi } = taken(encodeFrame([slicer!, rans!, isthmus!]));
    expect(code).toBe('accepted');
    expect(mebi).toBeLessThanOrEqual(ALLOWED);
    const wide = zeros([2 ** 22], [1, 1]);
    const last = taken(frameOf(slicer!, wide, slicer!));
    expect(last.code).toBe('accepted');
    expect(last.mebi).toBeLessThanOrEqual(ALLOWED);
  });

  test('64 tensors with tables and transforms of their own', () => {
    const made = { ...dense(2 ** 14), ...largest(2 ** 14) };
    for (const [name, tensor] of Object.entries(made)) {
      const bytes = frameOf(...Array<EncodedTensor>(64).fill(tensor));
      const { mebi, kernels } = taken(bytes);
      expect(mebi - kernels, name).toBeLessThanOrEqual((64 * 2 ** 14 * 4) / MEBI + 1); // of what is declared
    }
  });
});
