// Transport: carries one frame up and its replies down, by fetch, or by a link over WebSocket or WebTransport. It does
// not look into frames; what was damaged on the way is asked for again by exchange.ts.

export type LinkKind = 'websocket' | 'webtransport';
export type TransportKind = 'fetch' | LinkKind;

export interface SendOptions {
  /** The tail hears of an abort too, and stops working on the request. */
  signal?: AbortSignal;
  /** Milliseconds from now after which nobody wants the answer; it travels, so that the tail need not begin in vain. */
  deadlineMs?: number;
  /** 0 (first) to 7 (when nothing else waits), 3 by default: RFC 9218. */
  urgency?: number;
  /**
   * Takes every reply but the last, where the tail sends several (one a task). When a request is sent again because its
   * link broke, a reply may come a second time: whoever reads the frames tells by their meta which it is.
   */
  onReply?: (frame: Uint8Array) => void;
  /** Told when every way there has failed for now and another attempt follows a pause: whoever can help themselves may begin. */
  onTrouble?: (error: unknown) => void;
}

/** What one frame up and one frame down cost. */
export interface Delivery {
  /** The (last) reply as it came, unread: a reply frame or an error frame. */
  frame: Uint8Array;
  /** What carried it. */
  via: TransportKind;
  timings: {
    /** Milliseconds from send to the first byte of the reply: the way up, the server's work, and one half round trip. */
    firstByte: number;
    /** Milliseconds to read the reply. */
    download: number;
  };
  /** Bytes of the frames themselves, sent again or not; headers of HTTP, TLS and TCP are not counted. */
  bytesUp: number;
  bytesDown: number;
}

export interface Transport {
  /** What would carry a request sent now. */
  readonly kind: TransportKind;
  /** Opens what the first request would open. @throws IsthmusError OFFLINE where what was asked for is impossible */
  warm?(): Promise<void>;
  /**
   * @throws IsthmusError OFFLINE, NOT_ISTHMUS, TOO_LARGE or what the tail answered; the signal's reason when it fires.
   */
  send(frame: Uint8Array, options?: SendOptions): Promise<Delivery>;
  close(): Promise<void>;
}

/** A bearer token, or how to get one; it is asked for before every request so that short-lived ones can change. */
export type TokenSource = string | (() => string | Promise<string>);
