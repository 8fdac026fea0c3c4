// Reads the body of POST /v2/…/infer: JSON with numbers or with binary tensors behind it, or one raw tensor alone. Every
// size is compared with the manifest before a tensor is made. It runs nothing.
import * as v from 'valibot';
import { IsthmusError } from '../../errors.ts';
import type { TensorInfo } from '../../model/manifest.ts';
import { bytesPerElement, type Tensor, type Tensors, viewBytes } from '../../tensor.ts';
import { BinaryParts, parseObject } from './binaryBody.ts';
import { datatypeOf, fromNumbers } from './datatypes.ts';
import { type ParameterValue, type RequestParameters, readParameters } from './parameters.ts';
import { checkedCount, type Sizes, shapeFromBytes } from './shapes.ts';
import type { Target } from './targets.ts';

/** Clients write null for what they leave out. */
const optional = <T extends v.GenericSchema>(schema: T) => v.nullish(schema);
const parameters = optional(v.record(v.string(), v.nullable(v.union([v.string(), v.number(), v.boolean()]))));
const name = v.pipe(v.string(), v.maxLength(1024));
const schema = v.object({
  id: optional(v.pipe(v.string(), v.maxLength(256))),
  parameters,
  inputs: v.pipe(
    v.array(
      v.object({
        name,
        shape: v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0))), v.maxLength(8)),
        datatype: v.string(),
        parameters,
        data: optional(v.array(v.unknown())),
      }),
    ),
    v.maxLength(256),
  ),
  outputs: optional(v.pipe(v.array(v.object({ name, parameters })), v.maxLength(256))),
});

type Input = v.InferOutput<typeof schema>['inputs'][number];

export interface RestRequest {
  id: string;
  inputs: Tensors;
  parameters: RequestParameters;
  outputs: readonly string[];
  /** Whether that output goes out as binary data. */
  binary(output: string): boolean;
}

/**
 * @param jsonBytes how much of the body is JSON; 0 when the body is the only input itself
 * @throws IsthmusError REQUEST_INVALID (names the field), INPUT_INVALID, TOO_LARGE, MODEL_UNSUPPORTED (features of Triton
 *   that only work beside it: shared memory, classification)
 */
export function readRestRequest(body: Uint8Array, jsonBytes: number, target: Target): RestRequest {
  if (jsonBytes === 0) return rawRequest(body, target);
  const result = v.safeParse(schema, parseObject(body.subarray(0, jsonBytes)));
  if (!result.success) {
    const issue = result.issues[0];
    throw invalid(`${v.getDotPath(issue) ?? 'the request'}: ${issue.message}`);
  }
  const json = result.output;
  const parts = new BinaryParts(body.subarray(jsonBytes));
  const known = readParameters(present(json.parameters));
  const inputs = readInputs(json.inputs, target, parts);
  parts.end();
  const outputs = json.outputs ?? [];
  for (const output of outputs) refuseExtensions(output.parameters);
  const binary = new Map(outputs.map((o) => [o.name, o.parameters?.binary_data ?? known.binaryOutputs]));
  return {
    id: json.id ?? '',
    inputs,
    parameters: known,
    outputs: outputs.map((o) => o.name),
    binary: (output) => Boolean(binary.get(output) ?? known.binaryOutputs),
  };
}

/** A header of 0: one input, its shape found from its size, all outputs as binary data. */
function rawRequest(body: Uint8Array, { name: model, inputs }: Target): RestRequest {
  const [info] = inputs;
  if (!info || inputs.length !== 1) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `'${model}' takes ${inputs.length} inputs, a raw body holds one. Send them behind a JSON header.`,
    );
  }
  const shape = shapeFromBytes(body.length, info);
  checkedCount(shape, info, new Map());
  return {
    id: '',
    inputs: { [info.name]: tensorFrom(info, shape, body) },
    parameters: { ...readParameters({}), binaryOutputs: true },
    outputs: [],
    binary: () => true,
  };
}

function readInputs(given: readonly Input[], { name: model, inputs }: Target, parts: BinaryParts): Tensors {
  const sizes: Sizes = new Map();
  const tensors: Tensors = {};
  for (const input of given) {
    const info = inputs.find((t) => t.name === input.name);
    if (!info || tensors[input.name]) throw wrongInputs(model, inputs);
    if (input.datatype !== datatypeOf(info.dtype)) {
      throw new IsthmusError(
        'INPUT_INVALID',
        `'${info.name}' is ${datatypeOf(info.dtype)}, not ${input.datatype.slice(0, 16)}.`,
      );
    }
    const count = checkedCount(input.shape, info, sizes);
    tensors[info.name] = readTensor(input, info, count, parts);
  }
  if (Object.keys(tensors).length !== inputs.length) throw wrongInputs(model, inputs);
  return tensors;
}

function readTensor(input: Input, info: TensorInfo, count: number, parts: BinaryParts): Tensor {
  refuseExtensions(input.parameters);
  const size = input.parameters?.binary_data_size ?? undefined;
  if (size === undefined) {
    const data = fromNumbers(info.dtype, input.data, count, info.name);
    return { dtype: info.dtype, shape: input.shape, data };
  }
  if (input.data !== undefined && input.data !== null)
    throw invalid(`'${info.name}' has both data and binary_data_size`);
  if (typeof size !== 'number' || size !== count * bytesPerElement(info.dtype)) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `binary_data_size of '${info.name}' is ${String(size).slice(0, 32)}, its shape asks for ${count * bytesPerElement(info.dtype)} bytes.`,
    );
  }
  return tensorFrom(info, input.shape, parts.take(size, info.name));
}

const tensorFrom = ({ dtype }: TensorInfo, shape: readonly number[], bytes: Uint8Array): Tensor => ({
  dtype,
  shape,
  data: viewBytes(dtype, bytes),
});

function refuseExtensions(given: v.InferOutput<typeof parameters>): void {
  const extension = ['shared_memory_region', 'classification'].find(
    (key) => present(given)[key] !== undefined,
  );
  if (extension === undefined) return;
  throw new IsthmusError('NOT_SUPPORTED', `This tail does not have Triton's extension '${extension}'.`);
}

function present(given: v.InferOutput<typeof parameters>): Record<string, ParameterValue> {
  const entries = Object.entries(given ?? {}).filter(([, value]) => value !== null);
  return Object.fromEntries(entries) as Record<string, ParameterValue>;
}

export function wrongInputs(model: string, inputs: readonly TensorInfo[]): IsthmusError {
  return new IsthmusError(
    'INPUT_INVALID',
    `'${model}' takes these inputs, each once: ${inputs.map((t) => t.name).join(', ')}.`,
  );
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError('REQUEST_INVALID', `The request cannot be read: ${reason}.`);
}
