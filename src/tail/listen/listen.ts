// Puts the application on a port with node:http: time limits against slow clients, early refusal of oversized bodies,
// and a stop that lets running requests end. It knows no routes.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { IsthmusError } from '../../errors.ts';

export interface ListenOptions {
  port: number;
  host: string;
  /** Larger bodies are refused before a client that asks (`Expect: 100-continue`, as curl does) sends them. */
  largestBody: number;
  /** A client has this long for its headers, and for headers and body together. */
  headersTimeoutMs: number;
  requestTimeoutMs: number;
}

export interface Listening {
  server: Server;
  /** Connections that have not sent a request yet; Node does not count them as idle, but a stop must not wait for them. */
  unused: ReadonlySet<Socket>;
  /** The real one, also when 0 was asked for. */
  port: number;
  url: string;
}

type Fetch = Parameters<typeof getRequestListener>[0];

/** @throws IsthmusError OPTION_INVALID when the port or the host cannot be used. */
export async function listen(fetch: Fetch, options: ListenOptions): Promise<Listening> {
  const badRequest = () => {
    const error = new IsthmusError('REQUEST_INVALID', 'The request line or the Host header is malformed.');
    return Response.json({ error: error.toJSON() }, { status: 400 });
  };
  // Only requests that cannot even become a Request end in the error handler; the app answers its own errors.
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false, errorHandler: badRequest });
  const server = createServer(
    {
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      // Above the idle time of common load balancers (60 s), so that they close first and never meet a dead connection.
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: Math.min(2000, options.headersTimeoutMs),
    },
    listener,
  );
  const unused = new Set<Socket>();
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }) => unused.delete(socket));
  // A client that stops reading its answer holds a socket and an open file; nothing else would ever end it.
  server.setTimeout(300_000);
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    unused.delete(request.socket); // 'request' is not emitted for these
    if (Number(request.headers['content-length'] ?? 0) <= options.largestBody) response.writeContinue();
    void listener(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException) => reject(cannotListen(cause, options));
    server.once('error', fail);
    try {
      server.listen(options.port, options.host, resolve);
    } catch (thrown) {
      fail(thrown as NodeJS.ErrnoException); // a port that is no port throws at once
    }
  });
  const { port } = server.address() as AddressInfo;
  return { server, unused, port, url: `http://${urlHost(options.host)}:${port}` };
}

/** Resolves when the last connection is gone; those that live longer than `graceMs` are cut. */
export async function stopListening({ server, unused }: Listening, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of unused) socket.destroy();
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
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
