// A channel over WebSocket: one binary message of the socket is one message of the link. It uses the global class, which
// browsers and Node 22 have, and says by OFFLINE what a browser only tells the console.
import { abortError } from '../abort.ts';
import { IsthmusError } from '../errors.ts';
import { readMessage } from '../wire/message.ts';
import type { ChannelEvents, OpenChannel } from './channel.ts';

/** Names the protocol and its version to everything on the way. */
const SUBPROTOCOL = 'isthmus.1';

/** @param address `https://host/link` of the tail; the scheme is changed here */
export function webSocketChannel(address: string): OpenChannel {
  return (events, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) throw abortError(signal);
      const socket = new WebSocket(address.replace(/^http/, 'ws'), SUBPROTOCOL);
      socket.binaryType = 'arraybuffer';
      const stop = () => {
        silence(socket);
        socket.close();
        reject(abortError(signal));
      };
      signal.addEventListener('abort', stop, { once: true });
      socket.onopen = () => {
        signal.removeEventListener('abort', stop);
        hear(socket, events);
        resolve({
          kind: 'websocket',
          send: (message) => {
            if (socket.readyState === WebSocket.OPEN) socket.send(message);
          },
          get buffered() {
            return socket.bufferedAmount;
          },
          close() {
            silence(socket);
            socket.close(1000);
          },
        });
      };
      socket.onerror = () => undefined; // close always follows
      socket.onclose = ({ code, reason }) => {
        signal.removeEventListener('abort', stop);
        reject(unopened(address, code, reason));
      };
    });
}

export const hasWebSocket = (): boolean => typeof globalThis.WebSocket === 'function';

function hear(socket: WebSocket, events: ChannelEvents): void {
  socket.onmessage = ({ data }) => {
    const since = performance.now();
    if (!(data instanceof ArrayBuffer)) return fail(socket, events, 'a text message came');
    let message: ReturnType<typeof readMessage>;
    try {
      message = readMessage(new Uint8Array(data));
    } catch (thrown) {
      return fail(socket, events, (thrown as Error).message);
    }
    events.message(message, since);
  };
  socket.onclose = ({ code, reason }) => events.end(reason || `the connection was closed (code ${code})`);
}

function fail(socket: WebSocket, events: ChannelEvents, reason: string): void {
  silence(socket);
  socket.close(3000, 'damaged message');
  events.end(reason);
}

/** What the socket says from now on concerns nobody; a close handshake may take a minute. */
function silence(socket: WebSocket): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.onerror = () => undefined;
}

function unopened(address: string, code: number, reason: string): IsthmusError {
  const why = reason || `code ${code}`;
  return new IsthmusError(
    'OFFLINE',
    `No WebSocket to ${new URL(address).origin} could be opened (${why}). Check that proxies on the way pass WebSocket and ` +
      "that the tail allows the origin of this page, or use transport: 'fetch'.",
  );
}
