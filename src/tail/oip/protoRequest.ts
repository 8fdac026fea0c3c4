// ModelInferRequest to tensors and the answer to ModelInferResponse. Contents are raw bytes, or typed lists where the
// caller sent those; sizes are compared with the manifest first. It knows no sockets.
import { IsthmusError } from '../../errors.ts';
import type { TensorInfo } from '../../model/manifest.ts';
import {
  bytesPerElement,
  type DType,
  type Tensor,
  type Tensors,
  tensorBytes,
  viewBytes,
} from '../../tensor.ts';
import { datatypeOf, fromNumbers } from './datatypes.ts';
import type { OipAnswer } from './inferOip.ts';
import type {
  ProtoContents,
  ProtoParameter,
  ProtoParameters,
  ProtoRequest,
  ProtoResponse,
  ProtoTensor,
} from './messages.ts';
import type { ParameterValue, RequestParameters } from './parameters.ts';
import { wrongInputs } from './restRequest.ts';
import { checkedCount, type Sizes } from './shapes.ts';
import type { Target } from './targets.ts';

/** Where typed contents of each type are. FP16 has no place there. */
const CONTENTS: Record<Exclude<DType, 'float16'>, keyof ProtoContents> = {
  bool: 'bool_contents',
  int8: 'int_contents',
  int32: 'int_contents',
  int64: 'int64_contents',
  uint8: 'uint_contents',
  float32: 'fp32_contents',
  float64: 'fp64_contents',
};

/** @throws IsthmusError INPUT_INVALID, TOO_LARGE, NOT_SUPPORTED */
export function protoInputs({ inputs, raw_input_contents: raw = [] }: ProtoRequest, target: Target): Tensors {
  if (raw.length > 0 && raw.length !== inputs.length) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `raw_input_contents has ${raw.length} entries for ${inputs.length} inputs. Send one for each, in their order.`,
    );
  }
  const sizes: Sizes = new Map();
  const tensors: Tensors = {};
  for (const [i, input] of inputs.entries()) {
    const info = target.inputs.find((t) => t.name === input.name);
    if (!info || tensors[input.name]) throw wrongInputs(target.name, target.inputs);
    tensors[info.name] = readTensor(input, raw[i], info, sizes);
  }
  if (inputs.length !== target.inputs.length) throw wrongInputs(target.name, target.inputs);
  return tensors;
}

function readTensor(input: ProtoTensor, raw: Uint8Array | undefined, info: TensorInfo, sizes: Sizes): Tensor {
  const { name, dtype } = info;
  if (input.datatype !== datatypeOf(dtype)) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `'${name}' is ${datatypeOf(dtype)}, not '${input.datatype.slice(0, 16)}'.`,
    );
  }
  if (input.parameters && Object.hasOwn(input.parameters, 'shared_memory_region')) {
    throw new IsthmusError('NOT_SUPPORTED', "This tail does not have Triton's extension for shared memory.");
  }
  const shape = input.shape.map(Number);
  const count = checkedCount(shape, info, sizes);
  if (!raw) {
    const key = dtype === 'float16' ? undefined : CONTENTS[dtype];
    return { dtype, shape, data: fromNumbers(dtype, key && input.contents?.[key], count, name) };
  }
  if (Object.values(input.contents ?? {}).some((list: unknown[]) => list.length > 0))
    throw new IsthmusError(
      'INPUT_INVALID',
      `'${name}' has contents and raw_input_contents. Send one of them.`,
    );
  if (raw.length !== count * bytesPerElement(dtype)) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `'${name}' has ${raw.length} raw bytes, its shape asks for ${count * bytesPerElement(dtype)}.`,
    );
  }
  // A Buffer's slice() would be no copy, and viewBytes makes one where the offset does not suit the type.
  const bytes = new Uint8Array(raw.buffer, raw.byteOffset, raw.length);
  return { dtype, shape, data: viewBytes(dtype, bytes) };
}

/** Parameters without their wrapping; 64-bit numbers as text keep their digits. */
export function plainParameters(given: ProtoParameters = {}): Record<string, ParameterValue> {
  const value = ({ parameter_choice: choice, ...fields }: ProtoParameter) =>
    choice === undefined ? undefined : fields[choice];
  const entries = Object.entries(given).map(([key, parameter]) => {
    const plain = value(parameter);
    const whole =
      parameter.parameter_choice === 'int64_param' || parameter.parameter_choice === 'uint64_param';
    return [key, whole && plain !== undefined ? BigInt(plain) : plain] as const;
  });
  return Object.fromEntries(entries.filter(([, v]) => v !== undefined)) as Record<string, ParameterValue>;
}

/** Answers go back in the form that the request had; FP16 makes them raw, since protobuf has no such number. */
export function protoResponse(
  target: Target,
  request: ProtoRequest,
  { outputs }: OipAnswer,
  { finalResponse }: RequestParameters,
): ProtoResponse {
  const typed =
    (request.raw_input_contents ?? []).length === 0 && outputs.every((o) => o.tensor.dtype !== 'float16');
  return {
    model_name: target.name,
    model_version: target.version,
    id: request.id ?? '',
    ...(finalResponse && { parameters: { triton_final_response: { bool_param: true } } }),
    outputs: outputs.map(({ name, tensor }) => ({
      name,
      datatype: datatypeOf(tensor.dtype),
      shape: [...tensor.shape],
      ...(typed && { contents: contentsOf(tensor) }),
    })),
    raw_output_contents: typed ? [] : outputs.map(({ tensor }) => tensorBytes(tensor)),
  };
}

function contentsOf({ dtype, data }: Tensor): ProtoContents {
  const key = CONTENTS[dtype as keyof typeof CONTENTS];
  const list =
    dtype === 'int64'
      ? Array.from(data as BigInt64Array, String)
      : Array.from(data as Float32Array, (x) => (dtype === 'bool' ? x !== 0 : x));
  return { [key]: list };
}
