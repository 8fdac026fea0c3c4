// Transport: carries one frame up and one frame down. fetch is the first implementation; WebSocket and WebTransport
// fit the same interface. It does not look into frames and does not retry (exchange.ts does both).

export interface SendOptions {
  signal?: AbortSignal;
}

/** What one frame up and one frame down cost. */
export interface Delivery {
  /** The reply as it came, unread: a reply frame or an error frame. */
  frame: Uint8Array;
  timings: {
    /** Milliseconds from send to the first byte of the reply: the way up, the server's work, and one half round trip. */
    firstByte: number;
    /** Milliseconds to read the reply. */
    download: number;
  };
  /** Bytes of the frames themselves; headers of HTTP, TLS and TCP are not counted. */
  bytesUp: number;
  bytesDown: number;
}

export interface Transport {
  readonly kind: 'fetch' | 'websocket' | 'webtransport';
  /**
   * @throws IsthmusError OFFLINE, NOT_ISTHMUS, TOO_LARGE or what the tail answered; the signal's reason when it fires.
   */
  send(frame: Uint8Array, options?: SendOptions): Promise<Delivery>;
  close(): Promise<void>;
}

/** A bearer token, or how to get one; it is asked for before every request so that short-lived ones can change. */
export type TokenSource = string | (() => string | Promise<string>);
