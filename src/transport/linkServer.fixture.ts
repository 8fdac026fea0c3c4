// A small real server that speaks HTTP, WebSocket and messages, and misbehaves exactly as a test tells it to. The tail
// that behaves is src/tail; this one is for what a good server never does. Not part of the package.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { FRAME_TYPE } from '../wire/layout.ts';
import { type Message, type MessageType, readMessage, writeMessage } from '../wire/message.ts';
import { type LocalServer, localServer } from './localServer.fixture.ts';

/** The server's end of one link. */
export interface Peer {
  socket: WebSocket;
  /** Every message that came, in order. */
  got: Message[];
  send(type: MessageType, id: number, options?: Parameters<typeof writeMessage>[2]): void;
}

export interface LinkServer extends LocalServer {
  peers: Peer[];
  /** Requests that came by fetch: their bodies. */
  posts: Buffer[];
  /** Paths of all HTTP requests. */
  paths: string[];
}

interface Behaviour {
  /** What GET /link answers; undefined: 404. */
  offer?: (url: string) => unknown;
  /** Default: a welcome, and every request comes back. */
  message?: (message: Message, peer: Peer) => void;
  /** Answers POST; default: the body comes back. */
  post?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;
  /** Refuses to become a WebSocket. */
  blocked?: () => boolean;
}

export const WELCOME = { version: 1, inFlight: 4, messageBytes: 1_000_000 };
export const json = (value: unknown) => ({ body: new TextEncoder().encode(JSON.stringify(value)) });

/** Does what a good tail does, with frames that are not looked into. */
export function polite({ type, id, body }: Message, peer: Peer): void {
  if (type === 'hello') peer.send('welcome', 0, json(WELCOME));
  if (type === 'request') peer.send('reply', id, { body });
  if (type === 'ping') peer.send('pong', id, { body });
}

export async function linkServer(behaviour: Behaviour = {}): Promise<LinkServer> {
  const { message = polite, blocked = () => false } = behaviour;
  const peers: Peer[] = [];
  const posts: Buffer[] = [];
  const paths: string[] = [];
  const upgrades = new WebSocketServer({ noServer: true, handleProtocols: () => 'isthmus.1' });
  const server = await localServer((request, response, body) => {
    paths.push(`${request.method} ${request.url}`);
    if (request.method === 'POST' && request.url?.endsWith('/infer')) {
      posts.push(body);
      if (behaviour.post) return behaviour.post(request, response, body);
      response.writeHead(200, { 'content-type': FRAME_TYPE }).end(body);
      return;
    }
    const offer =
      request.url === '/link'
        ? (behaviour.offer ?? (() => ({ version: 1, websocket: true, ticket: false })))(server.url)
        : undefined;
    const missing = { error: { code: 'NOT_FOUND', message: 'Nothing here.' } };
    response.writeHead(offer ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(offer ?? missing));
  });
  server.http.on('upgrade', (request, socket, head) => {
    if (blocked()) return void socket.destroy();
    upgrades.handleUpgrade(request, socket, head, (webSocket) => {
      const peer: Peer = {
        socket: webSocket,
        got: [],
        send: (type, id, options) => webSocket.send(writeMessage(type, id, options)),
      };
      peers.push(peer);
      webSocket.on('message', (data: Buffer) => {
        const got = readMessage(new Uint8Array(data));
        peer.got.push(got);
        message(got, peer);
      });
    });
  });
  const close = async () => {
    for (const { socket } of peers) socket.terminate();
    await server.close();
  };
  return { ...server, peers, posts, paths, close, [Symbol.asyncDispose]: close };
}

/** Waits until something is so, 10 s at most. */
export async function until(so: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!so()) {
    if (Date.now() > end) throw new Error('waited 10 seconds in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
