// The gRPC side of the Open Inference Protocol v2 as a descriptor: package `inference`, messages by field numbers, and
// the stream that Triton adds. Written as data, because a .proto file would not travel with a bundle. No behaviour here.
// Numbers are those of the published open_inference_grpc.proto (KServe) and grpc_service.proto (Triton); methods for
// shared memory, repositories, statistics and traces are left out.
import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

type Field = { id: number; type: string; rule?: 'repeated'; keyType?: string };
interface Message {
  [other: string]: unknown;
  fields: Record<string, Field>;
  oneofs?: Record<string, { oneof: string[] }>;
  nested?: Record<string, Message>;
}

const one = (id: number, type: string): Field => ({ id, type });
const many = (id: number, type: string): Field => ({ id, type, rule: 'repeated' });
const parameters = (id: number): Field => ({ id, type: 'InferParameter', keyType: 'string' });
const message = (fields: Record<string, Field>, nested?: Record<string, Message>): Message => ({
  fields,
  ...(nested && { nested }),
});

/** An input or an output tensor: both have the same fields. */
const tensor = message({
  name: one(1, 'string'),
  datatype: one(2, 'string'),
  shape: many(3, 'int64'),
  parameters: parameters(4),
  contents: one(5, 'InferTensorContents'),
});

const messages: Record<string, Message> = {
  ServerLiveRequest: message({}),
  ServerLiveResponse: message({ live: one(1, 'bool') }),
  ServerReadyRequest: message({}),
  ServerReadyResponse: message({ ready: one(1, 'bool') }),
  ModelReadyRequest: message({ name: one(1, 'string'), version: one(2, 'string') }),
  ModelReadyResponse: message({ ready: one(1, 'bool') }),
  ServerMetadataRequest: message({}),
  ServerMetadataResponse: message({
    name: one(1, 'string'),
    version: one(2, 'string'),
    extensions: many(3, 'string'),
  }),
  ModelMetadataRequest: message({ name: one(1, 'string'), version: one(2, 'string') }),
  ModelMetadataResponse: message(
    {
      name: one(1, 'string'),
      versions: many(2, 'string'),
      platform: one(3, 'string'),
      inputs: many(4, 'TensorMetadata'),
      outputs: many(5, 'TensorMetadata'),
    },
    {
      TensorMetadata: message({
        name: one(1, 'string'),
        datatype: one(2, 'string'),
        shape: many(3, 'int64'),
      }),
    },
  ),
  InferParameter: {
    fields: {
      bool_param: one(1, 'bool'),
      int64_param: one(2, 'int64'),
      string_param: one(3, 'string'),
      double_param: one(4, 'double'),
      uint64_param: one(5, 'uint64'),
    },
    oneofs: {
      parameter_choice: {
        oneof: ['bool_param', 'int64_param', 'string_param', 'double_param', 'uint64_param'],
      },
    },
  },
  InferTensorContents: message({
    bool_contents: many(1, 'bool'),
    int_contents: many(2, 'int32'),
    int64_contents: many(3, 'int64'),
    uint_contents: many(4, 'uint32'),
    uint64_contents: many(5, 'uint64'),
    fp32_contents: many(6, 'float'),
    fp64_contents: many(7, 'double'),
    bytes_contents: many(8, 'bytes'),
  }),
  ModelInferRequest: message(
    {
      model_name: one(1, 'string'),
      model_version: one(2, 'string'),
      id: one(3, 'string'),
      parameters: parameters(4),
      inputs: many(5, 'InferInputTensor'),
      outputs: many(6, 'InferRequestedOutputTensor'),
      raw_input_contents: many(7, 'bytes'),
    },
    {
      InferInputTensor: tensor,
      InferRequestedOutputTensor: message({ name: one(1, 'string'), parameters: parameters(2) }),
    },
  ),
  ModelInferResponse: message(
    {
      model_name: one(1, 'string'),
      model_version: one(2, 'string'),
      id: one(3, 'string'),
      parameters: parameters(4),
      outputs: many(5, 'InferOutputTensor'),
      raw_output_contents: many(6, 'bytes'),
    },
    { InferOutputTensor: tensor },
  ),
  ModelStreamInferResponse: message({
    error_message: one(1, 'string'),
    infer_response: one(2, 'ModelInferResponse'),
  }),
};

const call = (name: string) => ({ requestType: `${name}Request`, responseType: `${name}Response` });
const stream = {
  requestType: 'ModelInferRequest',
  requestStream: true,
  responseType: 'ModelStreamInferResponse',
  responseStream: true,
};
const calls = ['ServerLive', 'ServerReady', 'ModelReady', 'ServerMetadata', 'ModelMetadata', 'ModelInfer'];

const methods = { ...Object.fromEntries(calls.map((name) => [name, call(name)])), ModelStreamInfer: stream };

type Namespace = Parameters<typeof fromJSON>[0];
const root = { nested: { inference: { nested: { ...messages, GRPCInferenceService: { methods } } } } };
// 64-bit numbers as text, so that none loses digits; absent fields as their defaults.
const loaded = fromJSON(root as Namespace, { keepCase: true, longs: String, defaults: true, oneofs: true });

/** The service, for servers and for clients. */
export const inferenceService = loaded['inference.GRPCInferenceService'] as ServiceDefinition;
