// Raw clients of the load benchmark, one per transport: they send ready bytes and say when the answer is there, with as
// little work of their own as the transport allows.
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import type { WebTransport as NodeWebTransport } from 'rwebtransport';
import { WebSocket } from 'ws';
import { FRAME_TYPE } from '../src/wire/layout.ts';
import { type Message, MessageReader, readMessage, writeMessage } from '../src/wire/message.ts';
import { readFrame } from '../src/wire/readFrame.ts';
import type { ServerAnswer } from './loadServer.ts';

export const TRANSPORTS = ['fetch', 'websocket', 'webtransport'] as const;
export type TransportName = (typeof TRANSPORTS)[number];

export interface Channel {
  /** @returns `ok`, or the code of the error that came back */
  send(frame: Uint8Array, deadlineMs: number): Promise<string>;
  close(): void;
}

/** Links carry 64 requests each at once; so many of them never stand in the way. */
const LINKS = 8;

export async function openChannel(
  transport: TransportName,
  server: ServerAnswer,
  model: string,
): Promise<Channel> {
  if (transport === 'fetch') return posts(server.url, model);
  const open = transport === 'websocket' ? openSocket : openStream;
  const links = await Promise.all(Array.from({ length: LINKS }, () => open(server)));
  let next = 0;
  return {
    // The first is enough while little is under way.
    send(frame, deadlineMs) {
      const free = links.find((link) => link.pending < 8) ?? links[next++ % links.length]!;
      return free.ask(frame, deadlineMs);
    },
    close: () => links.forEach((link) => void link.close()),
  };
}

function posts(url: string, model: string): Channel {
  const agent = new Agent({ keepAlive: true, maxSockets: 512 });
  const { hostname, port } = new URL(url);
  const path = `/models/${model}/infer`;
  return {
    send: (frame, deadlineMs) =>
      new Promise((resolve) => {
        const headers = {
          'content-type': FRAME_TYPE,
          'content-length': frame.byteLength,
          'isthmus-deadline': String(deadlineMs),
        };
        const post = request({ agent, hostname, port, path, method: 'POST', headers }, (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('end', () => resolve(codeOf(Buffer.concat(parts))));
          response.on('error', () => resolve('OFFLINE'));
        });
        post.on('error', () => resolve('OFFLINE'));
        post.end(frame);
      }),
    close: () => agent.destroy(),
  };
}

class Link {
  readonly #waiting = new Map<number, (code: string) => void>();
  readonly #request: (id: number, frame: Uint8Array, deadlineMs: number) => void;
  readonly close: () => void;
  #lastId = 0;
  #welcomed: () => void = () => undefined;
  readonly welcome = new Promise<void>((resolve) => {
    this.#welcomed = resolve;
  });

  constructor(
    write: (bytes: Uint8Array) => void,
    close: () => void,
    request = (id: number, frame: Uint8Array, deadlineMs: number) =>
      write(writeMessage('request', id, { body: frame, deadlineMs })),
  ) {
    this.#request = request;
    this.close = close;
    write(writeMessage('hello', 0, { body: new TextEncoder().encode('{"version":1}') }));
  }

  get pending(): number {
    return this.#waiting.size;
  }

  ask(frame: Uint8Array, deadlineMs: number): Promise<string> {
    const id = ++this.#lastId;
    const answer = new Promise<string>((resolve) => this.#waiting.set(id, resolve));
    this.#request(id, frame, deadlineMs);
    return answer;
  }

  take({ type, id, body }: Message): void {
    if (type === 'welcome') this.#welcomed();
    if (type !== 'reply') return;
    this.#waiting.get(id)?.(codeOf(body));
    this.#waiting.delete(id);
  }

  lost(): void {
    for (const resolve of this.#waiting.values()) resolve('OFFLINE');
    this.#waiting.clear();
  }
}

async function openSocket({ url }: ServerAnswer): Promise<Link> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/link`, 'isthmus.1', {
    perMessageDeflate: false,
  });
  await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const raw = (socket as unknown as { _socket: Socket })._socket;
  const link = new Link(
    (bytes) => socket.send(bytes),
    () => socket.close(),
    // Masking in JavaScript would cost the generator more than the rest, so it is done once for each frame.
    (id, frame, deadlineMs) => void raw.write(maskedRequest(id, frame, deadlineMs)),
  );
  socket.on('message', (data: Buffer) => link.take(readMessage(data)));
  socket.on('close', () => link.lost());
  await link.welcome;
  return link;
}

const MASK = [0x37, 0xfa, 0x21, 0x3d] as const;
const ID_OFFSET = 8;
const masked = new Map<Uint8Array, Buffer>();

/** RFC 6455, 5.2: one binary frame with its request, masked as any client's; made once, then only the id changes. */
function maskedRequest(id: number, frame: Uint8Array, deadlineMs: number): Buffer {
  let made = masked.get(frame);
  if (!made) {
    const message = writeMessage('request', 0, { body: frame, deadlineMs });
    made = Buffer.alloc(14 + message.length, Uint8Array.of(0x82, 0x80 | 127));
    made.writeBigUInt64BE(BigInt(message.length), 2);
    made.set(MASK, 10);
    for (const [i, byte] of message.entries()) made[14 + i] = byte ^ MASK[i % 4]!;
    masked.set(frame, made);
  }
  const bytes = Buffer.from(made);
  for (const [i, mask] of MASK.entries()) bytes[14 + ID_OFFSET + i] = ((id >>> (8 * i)) & 0xff) ^ mask;
  return bytes;
}

async function openStream({ webTransport }: ServerAnswer): Promise<Link> {
  const { WebTransport } = await import('rwebtransport');
  const session: NodeWebTransport = new WebTransport(`https://127.0.0.1:${webTransport!.port}/link`, {
    serverCertificateHashes: webTransport!.certificateHashes.map((hash) => ({
      algorithm: 'sha-256',
      value: new Uint8Array(Buffer.from(hash, 'base64')),
    })),
  });
  await session.ready;
  const { readable, writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  const link = new Link(
    (bytes) => void writer.write(bytes).catch(() => undefined),
    () => session.close(),
  );
  const messages = new MessageReader();
  const read = async () => {
    for await (const chunk of readable) for (const message of messages.push(chunk)) link.take(message);
  };
  read().then(
    () => link.lost(),
    () => link.lost(),
  );
  await link.welcome;
  return link;
}

function codeOf(bytes: Uint8Array): string {
  const { kind, meta } = readFrame(new Uint8Array(bytes));
  return kind === 'reply' ? 'ok' : (meta.error?.code ?? 'INTERNAL');
}
