// ModelInfer and Triton's ModelStreamInfer: one message to one answer, with the call's deadline, cancellation, token and
// counting. Messages of a stream are worked on together and answered in their order; those of a sequence one by one.
import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceError,
} from '@grpc/grpc-js';
import type { TailContext } from '../context.ts';
import { namedError } from '../infer/errorFrame.ts';
import type { Asked } from '../infer/service.ts';
import { LINK_LIMITS } from '../link/linkLimits.ts';
import { type Subject, subjectName } from '../operate/gate.ts';
import { admitted } from './grpcGate.ts';
import { CANCELLED, grpcError, IDLE } from './grpcStatus.ts';
import { inferOip } from './inferOip.ts';
import type { ProtoRequest, ProtoResponse, ProtoStreamResponse } from './messages.ts';
import { readParameters, withParameters } from './parameters.ts';
import { plainParameters, protoInputs, protoResponse } from './protoRequest.ts';
import { findTarget } from './targets.ts';

type Call = ServerUnaryCall<never, never> | ServerDuplexStream<never, never>;
type AnyCall = Pick<Call, 'metadata' | 'getPeer' | 'getDeadline'>;

/** Messages of one stream that may be worked on at once; more wait in the sockets. */
const MOST_AT_ONCE = 16;

export function modelInfer(tail: TailContext): handleUnaryCall<ProtoRequest, ProtoResponse> {
  return (call, callback) => {
    const gone = new AbortController();
    call.on('cancelled', () => gone.abort());
    const subject = () => admitted(tail, call as unknown as AnyCall);
    answer(tail, call as unknown as AnyCall, call.request, subject, gone.signal).then(
      (reply) => callback(null, reply),
      (error: Partial<ServiceError>) => callback(error as ServiceError),
    );
  };
}

export function modelStreamInfer(
  tail: TailContext,
): handleBidiStreamingCall<ProtoRequest, ProtoStreamResponse> {
  return (call) => {
    const gone = new AbortController();
    let working = 0;
    let ended = false;
    let written: Promise<void> = Promise.resolve();
    let previous: Promise<unknown> = Promise.resolve();
    call.on('cancelled', () => gone.abort());
    call.on('error', () => gone.abort());
    // Nothing under way and no message for so long: whoever opened it has forgotten it, or stopped in a message.
    const idleMs = tail.linkLimits?.idleMs ?? LINK_LIMITS.idleMs;
    let idle: NodeJS.Timeout | undefined;
    const rest = () => clearTimeout(idle);
    const watch = () => {
      rest();
      if (!ended && !gone.signal.aborted && working === 0)
        idle = setTimeout(() => call.emit('error', IDLE), idleMs).unref();
    };
    watch();
    gone.signal.addEventListener('abort', rest, { once: true });
    call.on('data', (request: ProtoRequest) => {
      rest();
      if (++working >= MOST_AT_ONCE) call.pause();
      // State of a sequence depends on the order; everything else may run side by side.
      const inOrder = Object.hasOwn(request.parameters ?? {}, 'sequence_id');
      const before = inOrder ? previous : undefined;
      const subject = async () => {
        await before;
        return admitted(tail, call as unknown as AnyCall);
      };
      const reply = answer(tail, call as unknown as AnyCall, request, subject, gone.signal);
      previous = Promise.allSettled([previous, reply]);
      written = written.then(async () => {
        const response = await reply.then(
          (infer_response) => ({ error_message: '', infer_response }),
          // Triton's clients find the request that failed by the id beside the message.
          (error: Partial<ServiceError>) => failed(request, error),
        );
        if (!gone.signal.aborted) call.write(response);
        if (--working < MOST_AT_ONCE) call.resume();
        watch();
      });
    });
    call.on('end', () => {
      ended = true;
      rest();
      void written.then(() => call.end());
    });
  };
}

function failed(
  { model_name, id = '' }: ProtoRequest,
  { details }: Partial<ServiceError>,
): ProtoStreamResponse {
  return { error_message: details || 'unknown', infer_response: { model_name, id, outputs: [] } };
}

/** Rejects with an error as gRPC sends it. */
async function answer(
  tail: TailContext,
  call: AnyCall,
  request: ProtoRequest,
  admit: () => Promise<Subject>,
  signal: AbortSignal,
): Promise<ProtoResponse> {
  const started = performance.now();
  const requestId = crypto.randomUUID();
  const bytesIn = inputBytes(request);
  const counted = { transport: 'grpc' as const, bytesIn };
  const finished = (code: string, bytesOut: number, subject?: Subject) => {
    const ms = performance.now() - started;
    tail.metrics.answered({ ...counted, code, ms, bytesOut });
    const fields = {
      ...{ requestId, ...counted, route: `ModelInfer ${request.model_name.slice(0, 160)}` },
      ...{ ms: Math.round(ms * 10) / 10, bytesOut },
      ...(subject && { subject: subjectName(subject) }),
      ...(code !== 'ok' && { code }),
    };
    tail.log.info(fields, 'request');
  };
  let held = 0;
  tail.inFlight++;
  try {
    // The message is here already, before its turn; what is made of it (copies, numbers) takes about as much again.
    tail.bodies.take(2 * bytesIn);
    held = 2 * bytesIn;
    const subject = await admit();
    const target = findTarget(tail, request.model_name, request.model_version, subject);
    const parameters = readParameters(plainParameters(request.parameters));
    const inputs = protoInputs(request, target);
    const outputs = (request.outputs ?? []).map((o) => o.name);
    const asked = withParameters({ id: requestId, subject, signal, ...deadlineOf(call) }, parameters);
    const reply = await inferOip(tail, { target, inputs, outputs }, asked);
    const response = protoResponse(target, request, reply, parameters);
    finished('ok', response.raw_output_contents?.reduce((sum, b) => sum + b.length, 0) ?? 0, subject);
    return response;
  } catch (thrown) {
    if (signal.aborted) {
      finished('ABORTED', 0);
      throw CANCELLED;
    }
    const error = namedError(thrown, requestId, tail.log);
    finished(error.code, 0);
    throw grpcError(error);
  } finally {
    tail.inFlight--;
    tail.bodies.give(held);
  }
}

function deadlineOf(call: AnyCall): Pick<Asked, 'deadline'> {
  const deadline = call.getDeadline();
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  return Number.isFinite(at) ? { deadline: at } : {};
}

/** Bytes of tensors; a typed number counts as eight. */
function inputBytes({ inputs, raw_input_contents: raw = [] }: ProtoRequest): number {
  const typed = inputs.flatMap(({ contents }) => Object.values(contents ?? {}) as unknown[][]);
  const numbers = typed.reduce((sum, list) => sum + list.length, 0);
  return raw.reduce((sum, bytes) => sum + bytes.length, 8 * numbers);
}
