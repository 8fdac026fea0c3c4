// One TCP port for everything: HTTP/1.1 and WebSocket, and with a certificate TLS with HTTP/2 by ALPN, told apart from
// plain HTTP by the first byte. Also the stop that lets running requests end. It knows no routes.
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { IsthmusError } from '../../errors.ts';
import { BytesResponse } from '../http/bytesResponse.ts';
import type { TlsOptions } from './certificate.ts';
import {
  type Handlers,
  type HttpLimits,
  plainServer,
  type SecureServer,
  secureServer,
} from './httpServers.ts';
import { redirectToTls, sortByFirstByte } from './sortConnections.ts';

export interface ListenOptions extends HttpLimits {
  port: number;
  host: string;
  /** TCP connections that may be open at once. */
  maxConnections?: number | undefined;
  /** With it the port speaks TLS; plain HTTP is served to this machine and redirected for others. */
  tls?: TlsOptions | undefined;
  /** Takes requests that want to become a WebSocket; without it they are refused. */
  upgrade?: Handlers['upgrade'] | undefined;
}

export interface Listening {
  /** The real one, also when 0 was asked for. */
  port: number;
  /** The address that the host has become; a name may have several. */
  address: string;
  url: string;
  /** New connections get this certificate; those that are open keep theirs. */
  renew(tls: TlsOptions): void;
  /** Resolves when the last connection is gone; those that live longer than `graceMs` are cut. */
  stop(graceMs: number): Promise<void>;
}

/** Far below the memory they take; an operator sees to it that as many files may be open. */
const MOST_CONNECTIONS = 8192;

type Fetch = Parameters<typeof getRequestListener>[0];

/** @throws IsthmusError OPTION_INVALID when the port or the host cannot be used. */
export async function listen(fetch: Fetch, options: ListenOptions): Promise<Listening> {
  const connections = new Connections();
  const listener = requestListener(fetch);
  const handlers: Handlers = {
    listener: (request, response) => {
      if (request.httpVersionMajor < 2) connections.used(request.socket as Socket);
      return listener(request, response);
    },
    upgrade(request, socket, head) {
      connections.used(request.socket);
      if (options.upgrade) options.upgrade(request, socket, head);
      else socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    },
  };
  const plain = plainServer(handlers, options);
  const secure = options.tls && secureServer(options.tls, handlers, options);
  const front = secure ? frontServer(plain, secure, options, connections) : plain;
  front.maxConnections = options.maxConnections ?? MOST_CONNECTIONS;
  // With a certificate the front has accepted it already.
  plain.on('connection', (socket) => (secure ? connections.arrived(socket) : connections.accepted(socket)));
  secure?.server.on('secureConnection', (socket: TLSSocket) => connections.arrived(socket));

  await new Promise<void>((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException) => reject(cannotListen(cause, options));
    front.once('error', fail);
    try {
      front.listen(options.port, options.host, resolve);
    } catch (thrown) {
      fail(thrown as NodeJS.ErrnoException); // a port that is no port throws at once
    }
  });
  const { port, address } = front.address() as AddressInfo;
  return {
    port,
    address,
    url: `${secure ? 'https' : 'http'}://${urlHost(options.host)}:${port}`,
    renew: (tls) => secure?.server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' }),
    stop: (graceMs) => stop({ front, plain, secure, connections }, graceMs),
  };
}

function requestListener(fetch: Fetch): Handlers['listener'] {
  const badRequest = () => {
    const error = new IsthmusError('REQUEST_INVALID', 'The request line or the Host header is malformed.');
    return Response.json({ error: error.toJSON() }, { status: 400 });
  };
  // HTTP/2 has no header `connection`; Node would warn about it once and drop it.
  const clean: Fetch = async (request, env) => {
    const response = await fetch(request, env);
    const { httpVersionMajor } = env.incoming as IncomingMessage | Http2ServerRequest;
    if (httpVersionMajor >= 2 && response instanceof Response) response.headers.delete('connection');
    return response instanceof BytesResponse ? response.send(env as HttpBindings) : response;
  };
  // Only requests that cannot even become a Request end in the error handler; the app answers its own errors.
  return getRequestListener(clean, { overrideGlobalObjects: false, errorHandler: badRequest });
}

/** A port that hands each connection to one of the protocol servers, none of which listens itself. */
function frontServer(
  plain: HttpServer,
  secure: SecureServer,
  { headersTimeoutMs }: HttpLimits,
  connections: Connections,
): Server {
  const redirect = redirectToTls(headersTimeoutMs);
  // Node starts its watch over slow headers when a server begins to listen.
  for (const server of [plain, secure.server, redirect]) server.emit('listening');
  const sort = sortByFirstByte({ plain, redirect, secure: secure.server, firstByteMs: headersTimeoutMs });
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    connections.accepted(socket);
    sort(socket, () => connections.used(socket));
  }).on('close', () => {
    for (const server of [plain, secure.server, redirect]) server.close();
  });
}

/** Which connections have not asked for anything yet: Node does not call them idle, but a stop must not wait for them. */
class Connections {
  readonly unused = new Set<Socket>();
  readonly all = new Set<Socket>();

  accepted(socket: Socket): void {
    this.all.add(socket);
    this.unused.add(socket); // until its first byte; a server that gets it has it here again
    socket.once('close', () => {
      this.all.delete(socket);
      this.unused.delete(socket);
    });
  }

  arrived(socket: Socket): void {
    if ((socket as TLSSocket).alpnProtocol === 'h2') return; // its session is tracked
    this.unused.add(socket);
    socket.once('close', () => this.unused.delete(socket));
  }

  used(socket: Socket): void {
    this.unused.delete(socket);
  }
}

interface Parts {
  front: Server;
  plain: HttpServer;
  secure: SecureServer | undefined;
  connections: Connections;
}

async function stop({ front, plain, secure, connections }: Parts, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => front.close(() => resolve()));
  for (const socket of connections.unused) socket.destroy();
  plain.closeIdleConnections();
  (secure?.server as HttpServer | undefined)?.closeIdleConnections(); // it has this method; its type does not say so
  for (const session of secure?.sessions ?? []) session.close(); // GOAWAY; its open streams end first
  const timer = setTimeout(() => {
    plain.closeAllConnections();
    for (const session of secure?.sessions ?? []) session.destroy();
    for (const socket of connections.all) socket.destroy();
  }, graceMs);
  await closed;
  clearTimeout(timer);
}

/** What a person can open: a wildcard address is none, and IPv6 wants brackets. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::' || host === '') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function cannotListen(cause: NodeJS.ErrnoException, { port, host }: ListenOptions): IsthmusError {
  const reasons: Record<string, string> = {
    EADDRINUSE: `Port ${port} is in use. Stop what uses it, or choose another port (0 takes a free one).`,
    EACCES: `Port ${port} may not be opened by this user. Choose one above 1023.`,
    EADDRNOTAVAIL: `'${host}' is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for all networks.`,
    ERR_SOCKET_BAD_PORT: `${port} is no port. Choose one from 0 to 65535.`,
    ENOTFOUND: `'${host}' is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for all networks.`,
  };
  const reason = reasons[cause.code ?? ''] ?? `Cannot listen on ${host}:${port} (${cause.message}).`;
  return new IsthmusError('OPTION_INVALID', reason, { cause });
}
