// Channel: what a link needs of WebSocket or WebTransport: whole messages in order both ways, an end, perhaps datagrams.
// Types only; websocket.ts and webtransport.ts implement them, link.ts gives them their meaning.
import type { Message } from '../wire/message.ts';
import type { LinkKind } from './transport.ts';

export interface Channel {
  readonly kind: LinkKind;
  /** Queues one message, reliably and in order. Never throws: a channel that broke says so by `end`. */
  send(message: Uint8Array<ArrayBuffer>): void;
  /** Bytes queued here and not yet handed to the network; 0 where that is unknown. */
  readonly buffered: number;
  /** Absent where messages go reliably only. */
  readonly datagrams?: DatagramPort;
  /** Ends it without `end` being called. */
  close(): void;
}

export interface DatagramPort {
  /** Largest datagram in bytes, as the path stands now. */
  readonly maxSize: number;
  /** Resolves when the next one may follow; it may be lost all the same. Never rejects. */
  send(datagram: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface ChannelEvents {
  /** @param since performance.now() when its first byte came */
  message(message: Message, since: number): void;
  /** Something came, though not yet a whole message. */
  alive(): void;
  /** It broke or was closed by the other side; at most once, and nothing after it. */
  end(reason: string): void;
}

/**
 * @param signal gives up opening; what was begun is closed
 * @throws IsthmusError OFFLINE; the signal's reason
 */
export type OpenChannel = (events: ChannelEvents, signal: AbortSignal) => Promise<Channel>;
