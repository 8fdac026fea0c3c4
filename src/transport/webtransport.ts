// A channel over WebTransport: messages follow one another on one bidirectional stream that lives as long as the link;
// datagrams beside it. It never waits for the stream's end, which some servers forget to send.
import { abortError } from '../abort.ts';
import { IsthmusError } from '../errors.ts';
import { MessageReader } from '../wire/message.ts';
import type { Channel, ChannelEvents, DatagramPort, OpenChannel } from './channel.ts';

/** The class, or one like it: Node has none of its own. */
export type WebTransportClass = new (
  url: string,
  options?: WebTransportOptions,
) => Pick<WebTransport, 'ready' | 'closed' | 'datagrams' | 'createBidirectionalStream' | 'close'>;

export interface WebTransportAddress {
  /** `https://host:port/link` */
  url: string;
  /** SHA-256 of certificates that browsers would not trust by themselves, in base64. */
  certificateHashes?: readonly string[];
}

/** What the standard has now and what it had before: Chromium's `writable`, and `createWritable()` since 2025. */
type Datagrams = Pick<WebTransportDatagramDuplexStream, 'maxDatagramSize' | 'outgoingHighWaterMark'> & {
  writable?: WritableStream<Uint8Array>;
  createWritable?: () => WritableStream<Uint8Array>;
};

/** Larger ones do not fit every path, whatever the connection believes. */
const LARGEST_DATAGRAM = 1200;

export function webTransportChannel(
  { url, certificateHashes }: WebTransportAddress,
  Class: WebTransportClass,
): OpenChannel {
  return async (events, signal) => {
    if (signal.aborted) throw abortError(signal);
    const session = start(url, certificateHashes, Class);
    session.ready.catch(() => undefined);
    // A tail that refuses lets the session open and closes it with a reason.
    const refused = session.closed.then(({ reason }) => {
      throw new Error(reason || 'it was closed');
    });
    refused.catch(() => undefined);
    let abort: () => void = () => undefined;
    // `ready` may never settle, so nothing is awaited but in a race.
    const stopped = new Promise<never>((_, reject) => {
      abort = () => reject(abortError(signal));
      signal.addEventListener('abort', abort, { once: true });
    });
    try {
      await Promise.race([session.ready, refused, stopped]);
      const stream = await Promise.race([session.createBidirectionalStream(), refused, stopped]);
      return carry(session, stream, events);
    } catch (thrown) {
      shut(session);
      if (signal.aborted) throw abortError(signal);
      throw unopened(url, thrown);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  };
}

/** The platform's class, where it has one. */
export const platformWebTransport = (): WebTransportClass | undefined => globalThis.WebTransport;

type Session = InstanceType<WebTransportClass>;

function start(url: string, hashes: readonly string[] | undefined, Class: WebTransportClass): Session {
  try {
    const serverCertificateHashes = hashes?.map((hash) => ({
      algorithm: 'sha-256',
      value: Uint8Array.from(atob(hash), (c) => c.charCodeAt(0)),
    }));
    return new Class(url, serverCertificateHashes?.length ? { serverCertificateHashes } : {});
  } catch (thrown) {
    throw unopened(url, thrown);
  }
}

function carry(
  session: Session,
  stream: { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> },
  events: ChannelEvents,
): Channel {
  let over = false;
  let buffered = 0;
  const end = (reason: string) => {
    if (over) return;
    over = true;
    shut(session);
    events.end(reason);
  };
  const writer = stream.writable.getWriter();
  writer.closed.catch(() => undefined);
  session.closed.then(
    ({ reason }) => end(reason || 'the session was closed'),
    (thrown) => end(`the session broke (${words(thrown)})`),
  );
  const port = datagramPort(session.datagrams);
  const channel: Channel = {
    kind: 'webtransport',
    send(message) {
      if (over) return;
      const { byteLength } = message;
      buffered += byteLength;
      writer.write(message).then(
        () => {
          buffered -= byteLength;
        },
        (thrown) => end(`the stream broke (${words(thrown)})`),
      );
    },
    get buffered() {
      return buffered;
    },
    ...(port && { datagrams: port }),
    close() {
      over = true;
      shut(session);
    },
  };
  listen(stream.readable, events, () => over).then(end, (thrown) => end(words(thrown)));
  return channel;
}

/** @returns why it ended */
async function listen(
  readable: ReadableStream<Uint8Array>,
  events: ChannelEvents,
  over: () => boolean,
): Promise<string> {
  const messages = new MessageReader();
  const reader = readable.getReader();
  let since = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return 'the tail ended the stream';
    if (over()) return '';
    const now = performance.now();
    if (messages.pending === 0) since = now;
    events.alive();
    for (const message of messages.push(value)) {
      events.message(message, since);
      since = now;
    }
  }
}

function datagramPort(datagrams: Datagrams | undefined): DatagramPort | undefined {
  const writable = datagrams?.createWritable?.() ?? datagrams?.writable;
  if (!writable) return undefined;
  // Ours is the pace; a queue of one datagram would make each of them wait for the browser's network process.
  try {
    datagrams!.outgoingHighWaterMark = 64;
  } catch {
    // Then they wait.
  }
  const writer = writable.getWriter();
  writer.closed.catch(() => undefined);
  return {
    get maxSize() {
      return Math.min(LARGEST_DATAGRAM, datagrams!.maxDatagramSize);
    },
    async send(datagram) {
      try {
        await writer.ready;
        // Not awaited: some write it only when the congestion window opens, some drop it; the tail tells us either way.
        writer.write(datagram).catch(() => undefined);
      } catch {
        // Lost, as a datagram may be.
      }
    },
  };
}

/** Throws while it is still connecting in some browsers, and the session dies all the same. */
function shut(session: Session): void {
  try {
    session.close();
  } catch {
    session.ready.then(() => session.close()).catch(() => undefined);
  }
}

const words = (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown));

function unopened(url: string, thrown: unknown): IsthmusError {
  return new IsthmusError(
    'OFFLINE',
    `No WebTransport session to ${new URL(url).origin} could be opened (${words(thrown)}). Check that UDP passes on the way ` +
      "and that the tail has a certificate, or use transport: 'auto'.",
    { cause: thrown },
  );
}
