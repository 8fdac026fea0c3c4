// A real HTTP server on a free loopback port, for the tests of this folder and of src/client. Not part of the package.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LocalServer extends AsyncDisposable {
  url: string;
  /** For what is no request: upgrades. */
  http: Server;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

export async function localServer(
  handler: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void | Promise<void>,
): Promise<LocalServer> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    await handler(request, response, Buffer.concat(chunks));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, http: server, close, [Symbol.asyncDispose]: close };
}

/** An address where nobody listens (until another process takes the port). */
export async function closedPort(): Promise<string> {
  const server = await localServer(() => undefined);
  await server.close();
  return server.url;
}
