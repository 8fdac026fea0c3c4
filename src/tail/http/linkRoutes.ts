// GET /link: which links this tail offers, and where. POST /link: the same messages over one request, for clients that can
// neither WebSocket nor WebTransport but stream: messages up, messages down as they get ready. Links themselves are ../link.
import { Hono } from 'hono';
import { IsthmusError } from '../../errors.ts';
import { MESSAGES_TYPE } from '../../wire/layout.ts';
import type { TailContext, TailEnv } from '../context.ts';
import { refuseWhenStopping } from '../infer/service.ts';
import type { LinkChannel } from '../link/channel.ts';
import { ServedLink } from '../link/serveLink.ts';
import { readStream } from '../link/streamReader.ts';
import { replyError } from './errorReply.ts';
import { clientOf } from './gate.ts';

export function linkRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();

  routes.get('/link', (c) => {
    const { webTransport } = tail;
    const hashes = webTransport?.certificateHashes ?? [];
    const found = {
      version: 1,
      websocket: true,
      ...(webTransport && {
        // On the port that the client asked: it may know it by another number than we do (containers, proxies).
        webtransport: { ...(hashes.length > 0 && { certificateHashes: hashes }) },
      }),
      ticket: tail.gate.closed,
    };
    return c.json(found, 200, { 'cache-control': 'no-cache' });
  });

  routes.post('/link', async (c) => {
    const type = (c.req.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
    if (type !== MESSAGES_TYPE) {
      const error = new IsthmusError(
        'REQUEST_INVALID',
        `The content type must be ${MESSAGES_TYPE}, not '${type.slice(0, 64)}'.`,
      );
      return replyError(c, error, tail.log, { status: 415 });
    }
    refuseWhenStopping(tail);
    const address = clientOf(tail, c);
    const full = tail.links.full(address);
    if (full) throw full;
    const channel = new PostChannel(address);
    const link = new ServedLink(tail, channel);
    channel.onCancel = () => link.gone();
    link.open(c.get('permit') ?? { subject: c.get('subject') ?? '' });
    c.req.raw.signal.addEventListener('abort', () => link.gone(), { once: true });
    const body = c.req.raw.body as ReadableStream<Uint8Array> | null;
    if (body) void readStream(tail, link, body.getReader()).then(() => link.inputEnded());
    else link.inputEnded();
    return new Response(channel.readable, {
      headers: { 'content-type': MESSAGES_TYPE, 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
    });
  });

  return routes;
}

/** The answer's body; what the client has not read waits in its queue. */
class PostChannel implements LinkChannel {
  readonly transport = 'http';
  readonly address: string;
  readonly readable: ReadableStream<Uint8Array>;
  onCancel: () => void = () => undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #closed = false;

  constructor(address: string) {
    this.address = address;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => {
          this.#closed = true;
          this.onCancel();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: 0 }),
    );
  }

  get buffered(): number {
    return -(this.#controller?.desiredSize ?? 0);
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    if (!this.#closed) this.#controller?.enqueue(message);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#controller?.close();
  }
}
