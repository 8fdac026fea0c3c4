// The protocol servers below the listener: HTTP/1.1, and HTTP/2 with HTTP/1.1 beside it over TLS. Both get the same limits
// against slow and greedy clients here. Which connection goes to which is listen.ts.
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from './certificate.ts';

export interface HttpLimits {
  /** Larger bodies are refused before a client that asks (`Expect: 100-continue`, as curl does) sends them. */
  largestBody: number;
  /** A client has this long for its headers, and for headers and body together. */
  headersTimeoutMs: number;
  requestTimeoutMs: number;
}

type Listener = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => Promise<void>;

export interface Handlers {
  listener: Listener;
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** Above the idle time of common load balancers (60 s), so that they close first and never meet a dead connection. */
const IDLE_MS = 65_000;
/** A client that stops reading its answer holds a socket and an open file; nothing else would ever end it. */
const UNREAD_MS = 300_000;

export function plainServer(handlers: Handlers, limits: HttpLimits): Server {
  const server = createServer(http1Options(limits));
  server.setTimeout(UNREAD_MS);
  return attach(server, handlers, limits);
}

export interface SecureServer {
  server: Http2SecureServer;
  /** HTTP/2 connections that are open. */
  sessions: ReadonlySet<ServerHttp2Session>;
}

export function secureServer(tls: TlsOptions, handlers: Handlers, limits: HttpLimits): SecureServer {
  const server = createSecureServer({
    ...tls,
    minVersion: 'TLSv1.2',
    handshakeTimeout: limits.headersTimeoutMs,
    allowHTTP1: true,
    ...http1Options(limits),
    settings: { maxConcurrentStreams: 128, maxHeaderListSize: 16 * 1024, initialWindowSize: 1 << 20 },
    // In MB: what one connection may hold in headers and frames that wait.
    maxSessionMemory: 32,
    maxOutstandingPings: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // Rapid reset (CVE-2023-44487): requests opened only to be cancelled. A page that cancels each run stays below.
    streamResetBurst: 300,
    streamResetRate: 50,
  });
  server.setTimeout(UNREAD_MS);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    watchSession(session, limits);
  });
  return { server: attach(server, handlers, limits), sessions };
}

function http1Options({ headersTimeoutMs, requestTimeoutMs }: HttpLimits): ServerOptions {
  return {
    headersTimeout: Math.min(headersTimeoutMs, requestTimeoutMs), // Node insists
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: IDLE_MS,
    connectionsCheckingInterval: Math.min(2000, headersTimeoutMs),
    // `Upgrade: h2c`, which curl and Java send along, may be ignored; RFC 9110, 7.8. (Node before 24.9 refuses it below.)
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  };
}

function attach<S extends Server | Http2SecureServer>(
  server: S,
  { listener, upgrade }: Handlers,
  { largestBody }: HttpLimits,
): S {
  const events: Server = server as Server; // both emit these, with what is alike for us
  events.on('request', (request, response) => void listener(request, response));
  events.on('upgrade', upgrade);
  events.on('checkContinue', (request, response) => {
    if (Number(request.headers['content-length'] ?? 0) <= largestBody) response.writeContinue();
    void listener(request, response);
  });
  return server;
}

/** What `headersTimeout`, `requestTimeout` and `keepAliveTimeout` are for HTTP/1.1, which Node does not have for HTTP/2. */
function watchSession(session: ServerHttp2Session, limits: HttpLimits): void {
  const streams = new Set<ServerHttp2Stream>();
  let idle = setTimeout(() => session.destroy(), limits.headersTimeoutMs);
  session.on('stream', (stream) => {
    clearTimeout(idle);
    streams.add(stream);
    limitStream(stream, limits.requestTimeoutMs);
    stream.once('close', () => {
      streams.delete(stream);
      if (streams.size > 0 || session.destroyed) return;
      clearTimeout(idle);
      idle = setTimeout(() => session.close(), IDLE_MS);
    });
  });
  session.once('close', () => clearTimeout(idle));
  session.on('error', () => undefined); // the client's mistakes are the client's; the session is closed by then
}

function limitStream(stream: ServerHttp2Stream, requestTimeoutMs: number): void {
  const { NGHTTP2_CANCEL } = constants;
  stream.setTimeout(UNREAD_MS, () => stream.close(NGHTTP2_CANCEL));
  stream.on('error', () => undefined);
  if (stream.readableEnded) return;
  const slow = setTimeout(() => {
    if (!stream.headersSent && !stream.destroyed) stream.respond({ ':status': 408 }, { endStream: true });
    stream.close(NGHTTP2_CANCEL);
  }, requestTimeoutMs);
  const done = () => clearTimeout(slow);
  stream.once('end', done);
  stream.once('close', done);
}
