// A gRPC client for the tests of this folder. Not part of the published package.
import { Client, credentials, Metadata, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import type { ProtoRequest, ProtoResponse } from './messages.ts';
import { inferenceService } from './protocol.ts';

export function oipClient(port: number): Client {
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
  });
}

interface CallOptions {
  deadline?: number;
  headers?: Record<string, string>;
  /** Gets a function that cancels the call. */
  started?: (cancel: () => void) => void;
}

/** @throws ServiceError */
export function callOip<Reply = ProtoResponse>(
  client: Client,
  method: string,
  request: object,
  { deadline = Date.now() + 20_000, headers = {}, started }: CallOptions = {},
): Promise<Reply> {
  const { path, requestSerialize, responseDeserialize } = inferenceService[method] as MethodDefinition<
    object,
    Reply
  >;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, reply) => (error ? reject(error) : resolve(reply!)),
    );
    started?.(() => call.cancel());
  });
}

/** The failure of a call, for its code and details. */
export async function failure(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    () => {
      throw new Error('the call succeeded');
    },
    (error: ServiceError) => error,
  );
}

/** A request of `tiny` with raw contents. */
export function tinyRequest(x: Float32Array, more: Partial<ProtoRequest> = {}): ProtoRequest {
  return {
    model_name: 'tiny',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [x.length / 192, 3, 8, 8] }],
    raw_input_contents: [new Uint8Array(x.buffer, x.byteOffset, x.byteLength)],
    ...more,
  };
}
