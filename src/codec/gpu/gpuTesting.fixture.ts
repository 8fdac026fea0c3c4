// Test helper: a device, features in GPU memory, and the comparison with the reference. A missing adapter is a failure,
// never a skipped test. Only tests import it.
import { expect } from 'vitest';
import type { DType, TensorData } from '../../tensor.ts';
import type { CodecParams, EncodedTensor, SlicerPlan } from '../params.ts';
import type { GpuFeature } from './encoder.ts';

export async function requestDevice(requiredFeatures: GPUFeatureName[] = []): Promise<GPUDevice> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter)
    throw new Error(
      'These tests need a WebGPU adapter and this browser offers none; see scripts/chromium.ts.',
    );
  return adapter.requestDevice({ requiredFeatures });
}

/** Uploads `data` behind `lead` bytes of something else, into a buffer rounded up as onnxruntime does. */
export function upload(
  device: GPUDevice,
  data: TensorData,
  shape: readonly number[] = [data.length],
  dtype: DType = 'float32',
  lead = 0,
): GpuFeature {
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = device.createBuffer({
    label: 'test feature',
    size: Math.ceil((lead + data.byteLength) / 16) * 16 + 16,
    usage: STORAGE | COPY_SRC | COPY_DST,
    mappedAtCreation: true,
  });
  const bytes = new Uint8Array(buffer.getMappedRange()).fill(0xa5); // what lies around must not matter
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), lead);
  buffer.unmap();
  return { buffer, offset: lead, shape, dtype };
}

/** The parameters that planSlicer turns into exactly this plan. */
export function paramsOf(plan: SlicerPlan): CodecParams {
  return {
    family: 'slicer',
    keep: plan.keepQ16 / 65536,
    asymmetry: plan.asymmetryQ8 / 256,
    blocks: plan.blocks as 1 | 2 | 4 | 8 | 16,
    strict: plan.strict,
    budget:
      plan.mode === 'step'
        ? { kind: 'max-error', delta: plan.budgetQ16 / 131_072 }
        : { kind: 'integer', delta: plan.budgetQ16 / 256 },
  };
}

/** Byte for byte; compares in bulk and shows the first difference only. */
export function expectSame(actual: EncodedTensor | undefined, wanted: EncodedTensor, name: string): void {
  if (!actual) throw new Error(`${name}: no tensor came back`);
  const { payload, params, ...head } = actual;
  expect({ name, ...head, params: [...params], bytes: payload.length }).toEqual({
    name,
    ...{ family: wanted.family, dtype: wanted.dtype, shape: wanted.shape, flags: wanted.flags },
    params: [...wanted.params],
    bytes: wanted.payload.length,
  });
  const differs = payload.findIndex((byte, i) => byte !== wanted.payload[i]);
  expect(differs, `${name}: first differing payload byte`).toBe(-1);
}
