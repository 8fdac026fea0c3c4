// WebSocket, RFC 6455: decides on the upgrade request (path, origin, subprotocol, token), then carries messages between
// the socket and a served link. One binary WebSocket message is one message.
import type { IncomingMessage } from 'node:http';
import { type Duplex, finished } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { IsthmusError } from '../../errors.ts';
import { readMessage } from '../../wire/message.ts';
import type { TailContext } from '../context.ts';
import { namedError } from '../infer/errorFrame.ts';
import { ownMemory } from '../infer/ownMemory.ts';
import { type Permit, permitOf } from '../operate/gate.ts';
import { otherHost } from '../operate/hosts.ts';
import { closeReason, type LinkChannel, type LinkEnd, WEBSOCKET_CODES } from './channel.ts';
import { largestMessage } from './linkLimits.ts';
import { ServedLink } from './serveLink.ts';

/** Offered by clients, chosen by the tail: the version of FORMAT.md, "Links". */
const SUBPROTOCOL = 'isthmus.1';

/** In front of what a client's ping or pong carries: two bytes and the mask, RFC 6455, 5.2. */
const CONTROL_HEADER_BYTES = 6;

/** A client has this long to answer our close frame. */
const CLOSE_MS = 2000;

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** @returns what a server calls for each request that wants to be upgraded to WebSocket */
export function webSocketLinks(tail: TailContext): Upgrade {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false, // features are compressed already, and inflating what strangers send costs memory
    maxPayload: largestMessage(tail),
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  return (request, socket, head) => {
    // Until ws takes it over, nobody else listens; an unheard 'error' would end the process.
    const ignore = () => undefined;
    socket.on('error', ignore);
    checkUpgrade(tail, request).then(
      (permit) => {
        if (socket.destroyed) return;
        const full = tail.links.full(clientAddress(tail, request));
        if (full) return refuseUpgrade(socket, full);
        socket.off('error', ignore);
        sockets.handleUpgrade(request, socket, head, (webSocket) => {
          serve(tail, webSocket, request, socket, permit);
        });
      },
      (thrown: unknown) => refuseUpgrade(socket, namedError(thrown, 'upgrade', tail.log)),
    );
  };
}

/** @returns whom the link belongs to, where the request itself says it. @throws IsthmusError */
async function checkUpgrade(tail: TailContext, request: IncomingMessage): Promise<Permit | undefined> {
  const { url, headers } = request;
  if (!isLinkPath(url ?? '')) {
    throw new IsthmusError('NOT_FOUND', 'There is no WebSocket at this address. Links are at /link.');
  }
  if (tail.stopping)
    throw new IsthmusError('CLOSED', 'The tail is stopping. Connect to another one, or again soon.');
  if (tail.gate.allowsHost?.(headers.host) === false) throw otherHost();
  if (!tail.gate.allowsOrigin(headers.origin, headers.host)) throw foreignOrigin();
  const offered = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
  if (!offered?.includes(SUBPROTOCOL)) {
    throw new IsthmusError('REQUEST_INVALID', `Offer the subprotocol '${SUBPROTOCOL}'.`);
  }
  // Programs can send a header, so they need no ticket; pages cannot.
  if (headers.authorization === undefined) return undefined;
  return permitOf(tail.gate, headers.authorization, clientAddress(tail, request));
}

function clientAddress({ gate }: TailContext, { headers, socket }: IncomingMessage): string {
  return gate.addressOf(socket.remoteAddress, headers['x-forwarded-for']?.toString());
}

/** The address before /models/NAME may have a path of its own, where a proxy leaves it in place. */
export const isLinkPath = (target: string): boolean => /^[^?#]*\/link(?:\?|$)/.test(target);

export const foreignOrigin = (): IsthmusError =>
  new IsthmusError(
    'FORBIDDEN',
    'Pages of this origin may not use this tail. An operator lists it with --cors.',
  );

function refuseUpgrade(socket: Duplex, error: IsthmusError): void {
  const body = JSON.stringify({ error: error.toJSON() });
  const head = [
    `HTTP/1.1 ${error.status} Refused`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    ...(error.status === 401 ? ['WWW-Authenticate: Bearer'] : []),
    ...(error.status === 503 || error.status === 429
      ? [`Retry-After: ${Math.ceil(error.retryAfter ?? 1)}`]
      : []),
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  finished(socket, () => socket.destroy());
  setTimeout(() => socket.destroy(), CLOSE_MS).unref();
}

function serve(
  tail: TailContext,
  webSocket: WebSocket,
  request: IncomingMessage,
  socket: Duplex,
  permit: Permit | undefined,
): void {
  const channel = new WebSocketChannel(webSocket, clientAddress(tail, request));
  const link = new ServedLink(tail, channel, permit);
  // Bytes of a message that has not ended; ws keeps them, we count them.
  let pending = 0;
  const release = (bytes = pending) => {
    const given = Math.min(bytes, pending);
    tail.bodies.give(given);
    pending -= given;
  };
  // They are no part of a message: pings alone would else take the whole budget, and hold nothing.
  const control = (data: Buffer) => {
    release(data.byteLength + CONTROL_HEADER_BYTES);
    if (pending === 0) link.halfWay(false);
  };
  socket.prependListener('data', (chunk: Buffer) => {
    link.unfinished(pending); // without this chunk, which may end the hello and begin much more
    if (link.ended) return;
    try {
      tail.bodies.take(chunk.byteLength);
      pending += chunk.byteLength;
      link.halfWay(true);
    } catch (thrown) {
      link.refuse(thrown);
    }
  });
  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    release();
    if (link.ended) return;
    if (!isBinary) return link.refuse(new IsthmusError('FRAME_INVALID', 'Messages are binary, not text.'));
    try {
      // ws often gives a view into a chunk that other messages share, and bodies move to threads.
      link.message(readMessage(ownMemory(data)));
    } catch (thrown) {
      link.refuse(thrown);
    }
  });
  webSocket.on('ping', control).on('pong', control);
  webSocket.on('error', () => undefined); // too long, or no WebSocket: ws closes with the right code by itself
  webSocket.on('close', () => {
    release();
    link.gone();
  });
}

class WebSocketChannel implements LinkChannel {
  readonly transport = 'websocket';
  readonly address: string;
  readonly #socket: WebSocket;
  #closed: Promise<void> | undefined;

  constructor(socket: WebSocket, address: string) {
    this.#socket = socket;
    this.address = address;
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message, () => undefined);
  }

  close(end: LinkEnd, reason: string): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      const socket = this.#socket;
      if (socket.readyState === WebSocket.CLOSED) return resolve();
      socket.close(WEBSOCKET_CODES[end], closeReason(reason));
      // A client that reads nothing never answers the close frame.
      const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    return this.#closed;
  }
}
