// From the mapped bytes of a frame to encoded tensors: copies each tensor's real length out of its upper bound. The
// last step of the GPU encoder; the params were written by the pack pass exactly as FORMAT.md has them.
import { IsthmusError } from '../../errors.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { type FramePlan, HEADER_WORDS, type TensorPlan } from './framePlan.ts';

/** Copies; the mapped range may be unmapped afterwards. */
export function readFrame(plan: FramePlan, mapped: ArrayBuffer): EncodedTensor[] {
  return plan.tensors.map((tensor) => {
    const { family, dtype, shape } = tensor;
    if (tensor.kind === 'slicer') return readSlicer(tensor, mapped, plan.strict);
    if (tensor.kind === 'none' && family === 'slicer')
      return {
        family,
        dtype,
        shape,
        flags: TENSOR_FLAGS.CONST,
        params: new Uint8Array(4),
        payload: new Uint8Array(0),
      };
    const payload = new Uint8Array(mapped, tensor.readback.offset, tensor.byteLength).slice();
    return { family, dtype, shape, flags: 0, params: new Uint8Array(0), payload };
  });
}

function readSlicer(tensor: TensorPlan, mapped: ArrayBuffer, strict: boolean): EncodedTensor {
  const { dtype, shape, readback } = tensor;
  const header = new Uint32Array(mapped, readback.offset, 4);
  const flags = header[0]!;
  if (strict && flags & TENSOR_FLAGS.SANITISED) {
    throw new IsthmusError(
      'FEATURE_NOT_FINITE',
      'The feature holds NaN or infinity, and strict mode refuses that. Check the input, or encode without strict.',
    );
  }
  const bytes = (offset: number, length: number) =>
    new Uint8Array(mapped, readback.offset + offset, length).slice();
  const isConst = (flags & TENSOR_FLAGS.CONST) !== 0;
  const blocks = tensor.phases[0]!.uniform[3]!;
  const payloadBytes = header[2]! * 4;
  const start = HEADER_WORDS * 4;
  if (start + payloadBytes > readback.size)
    throw new IsthmusError(
      'INTERNAL',
      `The GPU reports ${payloadBytes} payload bytes. Please report this defect.`,
    );
  return {
    family: 'slicer',
    dtype,
    shape,
    flags,
    params: isConst ? bytes(4, 4) : bytes(16, 8 + 8 * blocks),
    payload: isConst ? new Uint8Array(0) : bytes(start, payloadBytes),
  };
}
