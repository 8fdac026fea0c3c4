// Who may call over gRPC: asked before anything is read of a call, since its message of megabytes would lie in memory by the
// time a handler asks. It also ends calls whose message does not come, or for which there is no room. What a call may do is
// the handlers' business.
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { TailContext } from '../context.ts';
import { namedError } from '../infer/errorFrame.ts';
import type { Subject } from '../operate/gate.ts';
import { type Arrival, countArrival } from './grpcArrival.ts';
import { grpcError } from './grpcStatus.ts';

interface Caller {
  metadata: Metadata;
  getPeer(): string;
}

/** Health is for everybody, as over HTTP. */
const PUBLIC = /\/Server(Live|Ready)$/;

/** @throws IsthmusError UNAUTHENTICATED, RATE_LIMITED; counts the request */
export async function admitted(tail: TailContext, caller: Caller): Promise<Subject> {
  const subject = await bearer(tail, caller);
  await tail.gate.admit(subject, addressOf(tail, caller));
  return subject;
}

interface ArrivalLimits {
  /** Milliseconds in which the message of a call that has one must be here. */
  patienceMs: number;
  /** Bytes of a message. */
  largest: number;
}

export function gateInterceptor(
  tail: TailContext,
  { patienceMs, largest }: ArrivalLimits,
): ServerInterceptor {
  return ({ path, requestStream }, call) => {
    let late: NodeJS.Timeout | undefined;
    let arrival: Arrival | undefined;
    const refuse = (thrown: unknown) => {
      const { code, details, metadata } = grpcError(namedError(thrown, crypto.randomUUID(), tail.log));
      call.sendStatus({ code: code!, details: details!, metadata: metadata! });
    };
    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, read) {
            const wait = () => {
              arrival = countArrival(call, tail.bodies, largest, refuse);
              // Between messages a stream may be silent; grpcInfer.ts ends it after a while.
              if (!requestStream) late = setTimeout(() => call.sendStatus(TOO_SLOW), patienceMs).unref();
              read(metadata);
            };
            if (!tail.gate.closed || PUBLIC.test(path)) wait();
            else bearer(tail, { metadata, getPeer: () => call.getPeer() }).then(wait, refuse);
          },
          onReceiveMessage(message, next) {
            clearTimeout(late);
            arrival?.here();
            next(message);
          },
          // grpc-js says this of every call that is over, also of one that has had its status.
          onCancel() {
            clearTimeout(late);
            arrival?.over();
          },
        });
      },
    });
  };
}

const TOO_SLOW = { code: status.DEADLINE_EXCEEDED, details: 'The message did not come in time.' };

const bearer = (tail: TailContext, caller: Caller): Promise<Subject> =>
  tail.gate.bearer(caller.metadata.get('authorization')[0]?.toString(), addressOf(tail, caller));

function addressOf({ gate }: TailContext, caller: Caller): string {
  // host:port, with brackets around IPv6
  const host = caller
    .getPeer()
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '');
  return gate.addressOf(host, caller.metadata.get('x-forwarded-for')[0]?.toString());
}
