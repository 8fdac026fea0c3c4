// What a link needs of the transport below it, so that one implementation (serveLink.ts) serves WebSocket, WebTransport
// and POST bodies alike. Whole messages go up and down; how they are cut and buffered is the transport's business.

/** Why a link ends; transports turn it into their own close codes. */
export type LinkEnd = 'done' | 'goingAway' | 'broken' | 'refused' | 'overloaded';

export interface LinkChannel {
  readonly transport: 'http' | 'websocket' | 'webtransport';
  /** Of the client, for limits of those who show no token. */
  readonly address: string;
  /** Bytes handed to `send` that the network has not taken yet. */
  readonly buffered: number;
  /** One whole message; never waits, never throws. */
  send(message: Uint8Array<ArrayBuffer>): void;
  /** What was sent before still goes out, within a second or two; resolves then. Twice is once. */
  close(end: LinkEnd, reason: string): Promise<void>;
}

/** WebSocket close codes, RFC 6455, 7.4.1. */
export const WEBSOCKET_CODES: Record<LinkEnd, number> = {
  done: 1000,
  goingAway: 1001,
  broken: 1002,
  refused: 1008,
  overloaded: 1013,
};

/** Longest reason that fits a WebSocket close frame is 123 bytes; ours are plain English, so bytes are characters. */
export const closeReason = (reason: string): string => reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);
