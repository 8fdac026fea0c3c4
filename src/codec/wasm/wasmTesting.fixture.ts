// Test helpers: kernels that must be there, values compared as bits, damaged tensors, and what a decoder answers to them.
// Only tests import it.
import { expect } from 'vitest';
import { IsthmusError } from '../../errors.ts';
import type { EncodedTensor } from '../params.ts';
import { type Kernels, wasmKernels } from './kernels.ts';

/** Without kernels every comparison with them would be void. */
export function needKernels(): Kernels {
  const kernels = wasmKernels();
  if (!kernels) throw new Error('These tests need WebAssembly with SIMD, and there is none here.');
  return kernels;
}

export const bitsOf = (data: Float32Array) => new Uint32Array(data.buffer, data.byteOffset, data.length);

const INTERESTING = [0, 1, 2, 4, 31, 32, 64, 127, 128, 254, 255];

/** A copy with one to three bytes of params or payload changed, and now and then its flags or length. */
function damage(tensor: EncodedTensor, random: () => number): EncodedTensor {
  const params = tensor.params.slice();
  let payload = tensor.payload.slice();
  for (let n = 1 + (random() % 3); n > 0; n--) {
    const target = payload.length && random() % 2 ? payload : params;
    const at = random() % target.length;
    target[at] = random() % 2 ? random() >>> 24 : INTERESTING[random() % INTERESTING.length]!;
  }
  if (random() % 16 === 0) payload = payload.slice(0, random() % (payload.length + 1));
  return { ...tensor, params, payload, flags: random() % 16 ? tensor.flags : (random() >>> 8) & 7 };
}

type Decoder = (encoded: EncodedTensor, total: number) => Float32Array | undefined;

/** Values, or the error's code (kernels do not tell reasons apart); anything but an IsthmusError is thrown on. */
function answerOf(decode: () => Float32Array | undefined): Uint32Array | string | undefined {
  try {
    const values = decode();
    return values && bitsOf(values);
  } catch (error) {
    if (error instanceof IsthmusError) return error.code;
    throw error;
  }
}

/**
 * Damages `seeds` many times: the kernels may leave a tensor to the TypeScript decoder, but what they do answer has to be
 * the same, and no call may trap, which would cost the instance.
 * @returns how many damaged tensors both gave values for, and how many both refused or left
 */
export function expectSameAnswers(
  seeds: readonly EncodedTensor[],
  fast: Decoder,
  typescript: Decoder,
  runs: number,
  random: () => number,
): { decoded: number; refused: number } {
  const kernels = needKernels();
  const outcome = { decoded: 0, refused: 0 };
  for (let n = 0; n < runs; n++) {
    const seed = seeds[random() % seeds.length]!;
    const total = seed.shape.reduce((a, b) => a * b, 1);
    const damaged = damage(seed, random);
    const answer = answerOf(() => fast(damaged, total));
    const wanted = answerOf(() => typescript(damaged, total));
    if (answer !== undefined) expect(answer, `case ${n}`).toEqual(wanted);
    if (typeof answer === 'object') outcome.decoded++;
    else if (typeof wanted === 'string') outcome.refused++;
    else if (!(damaged.flags & 1)) expect.fail(`case ${n}: the kernels left a good tensor to TypeScript`);
    if (wasmKernels() !== kernels) expect.fail(`case ${n} trapped`);
  }
  return outcome;
}
