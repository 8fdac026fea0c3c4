// The gRPC port: the Open Inference Protocol's service on a port of its own, since one port cannot tell gRPC from pages
// early enough. Health and metadata here; ModelInfer and its stream are grpcInfer.ts.
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { IsthmusError } from '../../errors.ts';
import type { TailContext } from '../context.ts';
import { namedError } from '../infer/errorFrame.ts';
import type { TlsOptions } from '../listen/certificate.ts';
import { admitted, gateInterceptor } from './grpcGate.ts';
import { modelInfer, modelStreamInfer } from './grpcInfer.ts';
import { grpcError } from './grpcStatus.ts';
import { inferenceService } from './protocol.ts';
import { serverMetadata } from './serverMetadata.ts';
import { findTarget, metadataOf } from './targets.ts';

export interface GrpcOptions {
  /** 0 takes a free one. */
  port: number;
  host: string;
  /** In which the message of a call must be here. */
  requestTimeoutMs: number;
  /** PEM; without it the port speaks plain HTTP/2, for clusters and for proxies that end TLS. */
  tls?: TlsOptions | undefined;
}

export interface GrpcServer {
  /** The real one. */
  port: number;
  /** New connections get this certificate. */
  renew(tls: TlsOptions): void;
  /** Lets calls end that run; cuts them after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Names, shapes and parameters around the tensors of one message. */
const ENVELOPE_BYTES = 64 * 1024;

interface Named {
  name: string;
  version?: string;
}

/** @throws IsthmusError OPTION_INVALID when the port, the host or the certificate cannot be used */
export async function startGrpc(
  tail: TailContext,
  { port, host, requestTimeoutMs, tls }: GrpcOptions,
): Promise<GrpcServer> {
  const largest = tail.limits.frameBytes + ENVELOPE_BYTES;
  const server = new Server({
    // gRPC's own 4 MiB would refuse frames that the tail takes.
    'grpc.max_receive_message_length': largest,
    'grpc.max_send_message_length': -1,
    // Each may hold a message half-way.
    'grpc.max_concurrent_streams': 64,
    // Connections whose other end has gone without a word, and those that nobody uses.
    'grpc.keepalive_time_ms': 60_000,
    'grpc.max_connection_idle_ms': 300_000,
    interceptors: [gateInterceptor(tail, { patienceMs: requestTimeoutMs, largest })],
  });
  const found = async (call: ServerUnaryCall<Named, object>) => {
    const subject = await admitted(tail, call);
    return findTarget(tail, call.request.name, call.request.version, subject);
  };
  server.addService(inferenceService, {
    ServerLive: answering(tail, async () => ({ live: true })),
    ServerReady: answering(tail, async () => ({ ready: !tail.stopping })),
    ServerMetadata: answering(tail, async () => serverMetadata),
    ModelMetadata: answering(tail, async (call) => metadataOf(tail, await found(call))),
    ModelReady: answering(tail, async (call) => ({
      ready: (await found(call)) !== undefined && !tail.stopping,
    })),
    ModelInfer: modelInfer(tail),
    ModelStreamInfer: modelStreamInfer(tail),
  });
  const secure = tls && new TlsCredentials(tls);
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    port: await bind(server, address, secure ?? ServerCredentials.createInsecure()),
    renew: (next) => secure?.renew(next),
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const timer = setTimeout(() => server.forceShutdown(), graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** A call that answers with an object, or with the status of what is thrown. */
function answering(
  tail: TailContext,
  answer: (call: ServerUnaryCall<Named, object>) => Promise<object>,
): handleUnaryCall<Named, object> {
  return (call, callback) => {
    answer(call).then(
      (reply) => callback(null, reply),
      (thrown: unknown) =>
        callback(grpcError(namedError(thrown, crypto.randomUUID(), tail.log)) as ServiceError),
    );
  };
}

/** `createSsl` keeps its certificate for ever. */
class TlsCredentials extends ServerCredentials {
  constructor({ cert, key }: TlsOptions) {
    super({}, { cert, key });
  }

  renew({ cert, key }: TlsOptions): void {
    this.updateSecureContextOptions({ cert, key });
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      reject(
        new IsthmusError(
          'OPTION_INVALID',
          `gRPC cannot listen on ${address} (${reason.slice(0, 200)}). Choose another --grpc-port or --host.`,
          { cause },
        ),
      );
    };
    try {
      server.bindAsync(address, credentials, (error, port) => (error ? fail(error) : resolve(port)));
    } catch (thrown) {
      fail(thrown);
    }
  });
}
