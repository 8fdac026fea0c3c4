// An engine behind gRPC: raw contents both ways, the deadline and the cancellation of the request, one channel. Channels
// stay with one address while it lives, which keeps sequences on one instance.
import {
  type CallOptions,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { abortError } from '../../abort.ts';
import { tensorBytes } from '../../tensor.ts';
import type { BackendUrl } from './backendUrl.ts';
import { datatypeOf } from './datatypes.ts';
import { type Engine, type EngineOutcome, type EngineRequest, LARGEST_ANSWER } from './engine.ts';
import {
  engineAway,
  engineBusy,
  engineFailed,
  engineLate,
  isForgotten,
  sequenceLost,
} from './engineErrors.ts';
import type { ProtoContents, ProtoParameters, ProtoRequest, ProtoResponse } from './messages.ts';
import { inferenceService } from './protocol.ts';

const METHOD = inferenceService.ModelInfer as MethodDefinition<ProtoRequest, ProtoResponse>;

export function grpcEngine({ authority, tls }: BackendUrl, token: string | undefined): Engine {
  const address = `grpc${tls ? 's' : ''}://${authority}`;
  const client = new Client(authority, tls ? credentials.createSsl() : credentials.createInsecure(), {
    'grpc.max_receive_message_length': LARGEST_ANSWER,
    'grpc.max_send_message_length': -1,
    // An engine that starts anew is found soon.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.min_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 5000,
    // Connections that a network has dropped without a word are noticed.
    'grpc.keepalive_time_ms': 60_000,
  });
  return {
    address,
    infer: (request) =>
      new Promise<EngineOutcome>((resolve, reject) => {
        const { signal, sequence } = request;
        const metadata = new Metadata();
        if (token) metadata.set('authorization', `Bearer ${token}`);
        // For proxies that keep a sequence on one instance.
        if (sequence) metadata.set('isthmus-sequence', sequence.id);
        const options: CallOptions = { deadline: request.deadline };
        const call = client.makeUnaryRequest(
          METHOD.path,
          METHOD.requestSerialize,
          METHOD.responseDeserialize,
          protoRequest(request),
          metadata,
          options,
          (error, response) => {
            signal?.removeEventListener('abort', abort);
            try {
              resolve(
                error || !response ? outcomeOf(error!, request, address) : { outputs: outputsOf(response) },
              );
            } catch (thrown) {
              reject(thrown);
            }
          },
        );
        function abort(): void {
          call.cancel();
          reject(signal?.reason instanceof Error ? signal.reason : abortError());
        }
        signal?.addEventListener('abort', abort, { once: true });
      }),
    close: () => client.close(),
  };
}

/** What came of a call that failed: nothing was begun, or an error to throw. */
function outcomeOf(error: ServiceError, { sequence }: EngineRequest, address: string): EngineOutcome {
  const { code } = error;
  const text = error.details || error.message;
  if (code === status.DEADLINE_EXCEEDED) throw engineLate(address);
  if (sequence && isForgotten(text)) throw sequenceLost(sequence.id, error);
  if (code === status.UNAVAILABLE && neverSent(text)) return { refused: engineAway(address, error) };
  // A status that the engine itself has sent has its trailers.
  const answered = Object.keys(error.metadata?.getMap() ?? {}).length > 0;
  if (answered && (code === status.UNAVAILABLE || code === status.RESOURCE_EXHAUSTED))
    return { refused: engineBusy(address, text) };
  if (code !== status.UNAVAILABLE) throw engineFailed(address, text, error);
  // The connection broke while the engine may have worked: what a sequence has come to is unknown.
  throw sequence ? sequenceLost(sequence.id, error) : engineAway(address, error);
}

/** What grpc-js says where no connection came about. */
const neverSent = (text: string): boolean =>
  /no connection established|name resolution failed|ECONNREFUSED/i.test(text);

function protoRequest({ model, id, inputs, outputs, sequence }: EngineRequest): ProtoRequest {
  const parameters: ProtoParameters = sequence
    ? {
        sequence_id: /^\d{1,18}$/.test(sequence.id)
          ? { int64_param: sequence.id }
          : { string_param: sequence.id },
        sequence_start: { bool_param: sequence.start },
        sequence_end: { bool_param: sequence.end },
      }
    : {};
  return {
    model_name: model,
    id,
    parameters,
    inputs: inputs.map(({ name, tensor }) => ({
      name,
      datatype: datatypeOf(tensor.dtype),
      shape: [...tensor.shape],
    })),
    outputs: outputs.map(({ name }) => ({ name })),
    raw_input_contents: inputs.map(({ tensor }) => tensorBytes(tensor)),
  };
}

/** Engines answer raw contents or typed ones. */
function outputsOf({ outputs, raw_output_contents: raw = [] }: ProtoResponse) {
  return outputs.map(({ name, datatype, shape, contents }, i) => {
    const lists = Object.values(contents ?? ({} as ProtoContents)) as unknown[][];
    const head = { name, datatype, shape: shape.map(Number) };
    const bytes = raw[i];
    return bytes ? { ...head, bytes } : { ...head, numbers: lists.find((list) => list.length > 0) ?? [] };
  });
}
