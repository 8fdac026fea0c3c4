// Transport: carries one frame up and one frame down. fetch is the first implementation; WebSocket and WebTransport
// fit the same interface. It does not look into frames and does not retry.
export interface SendOptions {
  signal?: AbortSignal;
}

export interface Exchange {
  frame: Uint8Array;
  timings: {
    /** Milliseconds from send to the first byte of the reply, less what the server says it spent. */
    uplink: number;
    /** Milliseconds to read the reply. */
    downlink: number;
  };
  bytesUp: number;
  bytesDown: number;
}

export interface Transport {
  readonly kind: 'fetch' | 'websocket' | 'webtransport';
  send(frame: Uint8Array, options?: SendOptions): Promise<Exchange>;
  close(): Promise<void>;
}
