// The kernels in a real browser: they load at once on its main thread, and make the reference's
// bytes there too. No GPU is used; *.gpu.test.ts are the tests that run in Chromium.
import { expect, test } from 'vitest';
import { decodeIsthmus as decodeIsthmusInTypescript } from '../cpu/decodeIsthmus.ts';
import { decodeSlicer as decodeSlicerInTypescript } from '../cpu/decodeSlicer.ts';
import { encodeIsthmus as encodeIsthmusInTypescript } from '../cpu/encodeIsthmus.ts';
import { TENSOR_FLAGS } from '../params.ts';
import { decodeRans as slowDecodeRans } from '../reference/decodeRans.ts';
import { encodeRans as slowEncodeRans } from '../reference/encodeRans.ts';
import { encodeSlicer as slowEncodeSlicer } from '../reference/encodeSlicer.ts';
import { ISTHMUS_VECTORS } from '../reference/isthmusVectors.ts';
import { RANS_VECTORS } from '../reference/ransVectors.ts';
import { VECTORS } from '../reference/vectors.ts';
import { decodeIsthmus } from './decodeIsthmus.ts';
import { decodeRans } from './decodeRans.ts';
import { decodeSlicer } from './decodeSlicer.ts';
import { encodeIsthmus } from './encodeIsthmus.ts';
import { encodeRans } from './encodeRans.ts';
import { encodeSlicer } from './encodeSlicer.ts';
import { loadWasmCodec, wasmKernels } from './kernels.ts';
import { bitsOf } from './wasmTesting.fixture.ts';

test('Chromium compiles the kernels at once, and loadWasmCodec keeps them', async () => {
  const kernels = wasmKernels();
  expect(kernels).toBeDefined();
  expect(await loadWasmCodec()).toBe(true);
  expect(wasmKernels()).toBe(kernels);
});

test('slicer: every vector', () => {
  let compared = 0;
  for (const { name, shape, plan, data, refused } of VECTORS) {
    if (refused) continue;
    const wanted = slowEncodeSlicer(data(), shape, plan);
    if (wanted.flags & TENSOR_FLAGS.CONST) continue;
    const encoded = encodeSlicer(data(), shape, plan);
    if (encoded) expect(encoded, name).toEqual(wanted);
    else expect(new DataView(wanted.params.buffer).getUint32(0, true), name).toBe(0); // no survivors
    const total = data().length;
    const values = decodeSlicer(wanted, total)!;
    expect(bitsOf(values), name).toEqual(bitsOf(decodeSlicerInTypescript(wanted, total)));
    compared++;
  }
  expect(compared).toBeGreaterThan(60);
});

test('rans: every vector', () => {
  let compared = 0;
  for (const { name, shape, plan, data, refused } of RANS_VECTORS) {
    if (refused) continue;
    const wanted = slowEncodeRans(data(), shape, plan);
    if (wanted.flags & TENSOR_FLAGS.CONST) continue;
    expect(encodeRans(data(), shape, plan), name).toEqual(wanted);
    const values = decodeRans(wanted, data().length)!;
    expect(bitsOf(values), name).toEqual(bitsOf(slowDecodeRans(wanted)));
    compared++;
  }
  expect(compared).toBeGreaterThan(30);
});

test('isthmus: every vector', () => {
  let compared = 0;
  for (const { name, shape, plan, data, refused } of ISTHMUS_VECTORS) {
    if (refused) continue;
    const wanted = encodeIsthmusInTypescript(data(), shape, plan);
    if (wanted.flags & TENSOR_FLAGS.CONST) continue;
    const encoded = encodeIsthmus(data(), shape, plan);
    if (plan.step.kind === 'bytes' || plan.step.kind === 'distortion') expect(encoded, name).toBeUndefined();
    else expect(encoded, name).toEqual(wanted);
    const profiles = () => plan.profile;
    const values = decodeIsthmus(wanted, data().length, profiles)!;
    expect(bitsOf(values), name).toEqual(bitsOf(decodeIsthmusInTypescript(wanted, data().length, profiles)));
    compared++;
  }
  expect(compared).toBeGreaterThan(60);
});
