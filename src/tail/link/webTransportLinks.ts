// WebTransport over HTTP/3: opens the UDP port with rwebtransport where it is installed, and carries messages between one
// bidirectional stream (and datagrams) of each session and a served link.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WebTransportServer, WebTransportServerSession } from 'rwebtransport';
import { IsthmusError } from '../../errors.ts';
import type { TailContext } from '../context.ts';
import type { TlsOptions } from '../listen/certificate.ts';
import { otherHost } from '../operate/hosts.ts';
import { closeReason, type LinkChannel, type LinkEnd, WEBSOCKET_CODES } from './channel.ts';
import { LINK_LIMITS } from './linkLimits.ts';
import { ServedLink } from './serveLink.ts';
import { readStream } from './streamReader.ts';
import { foreignOrigin, isLinkPath } from './webSocketLinks.ts';

export interface WebTransportListening {
  port: number;
  close(): Promise<void>;
}

/** What was sent reaches the client before the session is torn down; QUIC has no graceful end of a session. */
const CLOSE_MS = 300;

/**
 * @returns undefined, with the reason in the log, where the library is missing or the UDP port is taken: the tail works
 *   without, clients choose WebSocket
 */
export async function listenWebTransport(
  tail: TailContext,
  { host, port, tls }: { host: string; port: number; tls: TlsOptions },
): Promise<WebTransportListening | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-tls-'));
  try {
    await chmod(folder, 0o700);
    const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
    for (const part of ['cert', 'key'] as const) await writeFile(files[part], tls[part], { mode: 0o600 });
    const { WebTransportServer } = await import('rwebtransport');
    const address = isIPv6(host) ? `[${host}]` : host; // the library puts a colon and the port behind it
    const server = new WebTransportServer({ host: address, port, ...files });
    settleErrors(server, tail);
    await server.ready;
    server.closed.catch((cause: unknown) => tail.log.warn({ err: cause }, 'WebTransport ended'));
    void acceptSessions(tail, server);
    return {
      port: server.port,
      async close() {
        server.close();
        await server.closed.catch(() => undefined);
      },
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    tail.log.warn({ reason: reason.slice(0, 300) }, 'WebTransport is not offered; WebSocket is');
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the library hands from its network thread to the event loop. */
interface NativeEvent {
  type: string;
  session?: number | undefined;
}

/**
 * rwebtransport 0.2.2 waits for the end of each session with a promise that nobody else can see, and lets it reject when a
 * client is lost ("connection timed out"): that would end the process. So a lost session ends here as a closed one.
 */
function settleErrors(server: WebTransportServer, { log }: TailContext): void {
  const inner = server as unknown as { onEvent(event: NativeEvent): void };
  const handle = inner.onEvent.bind(server);
  inner.onEvent = (event) => {
    const lost = event.type === 'error' && event.session !== undefined;
    const closed = {
      type: 'closed',
      session: event.session,
      code: 0,
      reason: new Uint8Array(0),
      remote: true,
    };
    try {
      handle(lost ? closed : event);
    } catch (thrown) {
      log.error({ err: thrown }, 'WebTransport: an event could not be handled');
    }
  };
}

async function acceptSessions(tail: TailContext, server: WebTransportServer): Promise<void> {
  const sessions = server.incomingSessions.getReader();
  for (;;) {
    const { value: session, done } = await sessions.read();
    if (done) return;
    session.closed.catch(() => undefined);
    void serveSession(tail, session).catch(() => session.close());
  }
}

async function serveSession(tail: TailContext, session: WebTransportServerSession): Promise<void> {
  // The gate writes IPv4 within IPv6 as itself; else all its clients would share one limit.
  const address = tail.gate.addressOf(session.remoteAddress, undefined);
  const refusal = refusalOf(tail, session) ?? tail.links.full(address);
  if (refusal) {
    // The library has accepted the session already; a status is not possible any more.
    session.close({ closeCode: refusal.status, reason: closeReason(refusal.message) });
    return;
  }
  const giveBack = tail.links.take(address); // until its stream is there: a session costs as much as a link
  session.closed.then(giveBack, giveBack);
  const streams = session.incomingBidirectionalStreams.getReader();
  const helloMs = tail.linkLimits?.helloMs ?? LINK_LIMITS.helloMs;
  const timer = setTimeout(() => session.close({ closeCode: 408, reason: 'No stream was opened.' }), helloMs);
  const { value: stream } = await streams.read();
  clearTimeout(timer);
  if (!stream) return;
  giveBack();
  const channel = new WebTransportChannel(session, stream.writable.getWriter(), address);
  const link = new ServedLink(tail, channel);
  session.closed.then(
    () => link.gone(),
    () => link.gone(),
  );
  void refuseMore(streams);
  void readDatagrams(session, link);
  await readStream(tail, link, stream.readable.getReader() as ReadableStreamDefaultReader<Uint8Array>);
  // The client has ended its side and still reads: what is under way is answered.
  if (!link.ended) link.inputEnded();
}

function refusalOf(tail: TailContext, session: WebTransportServerSession): IsthmusError | undefined {
  if (!isLinkPath(session.path)) return new IsthmusError('NOT_FOUND', 'Links are at /link.');
  if (tail.stopping) return new IsthmusError('CLOSED', 'The tail is stopping.');
  if (tail.gate.allowsHost?.(session.authority) === false) return otherHost();
  return tail.gate.allowsOrigin(session.origin, session.authority) ? undefined : foreignOrigin();
}

/** A link is one stream; others would hold memory for nothing. */
async function refuseMore(
  streams: ReadableStreamDefaultReader<{ readable: ReadableStream; writable: WritableStream }>,
): Promise<void> {
  for (;;) {
    const { value, done } = await streams.read().catch(() => ({ value: undefined, done: true }));
    if (done || !value) return;
    value.readable.cancel().catch(() => undefined);
    value.writable.abort().catch(() => undefined);
  }
}

async function readDatagrams(session: WebTransportServerSession, link: ServedLink): Promise<void> {
  const reader = session.datagrams.readable.getReader();
  while (!link.ended) {
    const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
    if (done || !value) return;
    link.datagram(value);
  }
}

class WebTransportChannel implements LinkChannel {
  readonly transport = 'webtransport';
  readonly address: string;
  readonly #session: WebTransportServerSession;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #buffered = 0;
  #closed: Promise<void> | undefined;

  constructor(
    session: WebTransportServerSession,
    writer: WritableStreamDefaultWriter<Uint8Array>,
    address: string,
  ) {
    this.#session = session;
    this.#writer = writer;
    this.address = address;
    writer.closed.catch(() => undefined);
    writer.ready.catch(() => undefined);
  }

  get buffered(): number {
    return this.#buffered;
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#closed) return;
    this.#buffered += message.byteLength;
    const done = () => {
      this.#buffered -= message.byteLength;
    };
    this.#writer.write(message).then(done, done);
  }

  close(end: LinkEnd, reason: string): Promise<void> {
    this.#closed ??= this.#close({ closeCode: WEBSOCKET_CODES[end], reason: closeReason(reason) });
    return this.#closed;
  }

  async #close(info: { closeCode: number; reason: string }): Promise<void> {
    const gone = this.#session.closed.then(
      () => undefined,
      () => undefined,
    );
    this.#writer.close().catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([patience, gone]);
    clearTimeout(timer);
    this.#session.close(info);
  }
}
