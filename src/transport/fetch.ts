// The fetch transport: one POST per frame on a kept-alive connection. It works everywhere fetch does; it does not
// look into frames and does not retry.

import { anySignal } from '../abort.ts';
import { LIMITS } from '../codec/params.ts';
import { FRAME_TYPE } from '../wire/layout.ts';
import { authorization, mediaType, reach, readBody, refusal } from './http.ts';
import type { Delivery, SendOptions, TokenSource, Transport } from './transport.ts';

/** No valid frame is longer: header, tensors, and four bytes of padding for each of them. */
const MAX_REPLY = LIMITS.headerBytes + LIMITS.outputBytes + 4 * LIMITS.tensors;

/**
 * Sends frames to `POST ${endpoint}/infer`.
 *
 * Timings are taken with performance.now() around `fetch` and around the body. Resource timing could part the way up
 * from connection set-up, but cross-origin tails would have to opt in, and its buffer stops after 250 entries. So the
 * first request to a tail also holds the connection and, from another origin, the preflight.
 *
 * @param endpoint - `https://host/models/NAME`, without a slash at the end.
 * @example const { frame } = await fetchTransport('http://localhost:8787/models/neck10').send(request);
 */
export function fetchTransport(endpoint: string, token?: TokenSource): Transport {
  const url = `${endpoint}/infer`;
  const closing = new AbortController();

  async function send(frame: Uint8Array, options: SendOptions = {}): Promise<Delivery> {
    const signal = options.signal ? anySignal(options.signal, closing.signal) : closing.signal;
    const headers = { 'content-type': FRAME_TYPE, accept: FRAME_TYPE, ...(await authorization(token)) };
    const sent = performance.now();
    // The default cache mode on purpose: `no-store` makes browsers preflight every cross-origin POST anew.
    const response = await reach(url, {
      method: 'POST',
      headers,
      body: frame as Uint8Array<ArrayBuffer>,
      signal,
      credentials: 'omit',
    });
    const answered = performance.now();
    if (mediaType(response) !== FRAME_TYPE) throw await refusal(response, url);
    const reply = await readBody(response, url, MAX_REPLY, signal);
    return {
      frame: reply,
      timings: { firstByte: answered - sent, download: performance.now() - answered },
      bytesUp: frame.byteLength,
      bytesDown: reply.byteLength,
    };
  }

  return {
    kind: 'fetch',
    send,
    async close() {
      closing.abort();
    },
  };
}
