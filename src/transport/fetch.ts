// The fetch transport: one POST per frame on a kept-alive connection. It works everywhere fetch does; it does not
// look into frames and does not retry. Where several replies are wanted, they follow one another in one body.

import { abortError, anySignal } from '../abort.ts';
import { LIMITS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { FRAME_TYPE, MESSAGES_TYPE } from '../wire/layout.ts';
import { MessageReader } from '../wire/message.ts';
import { authorization, bodyChunks, mediaType, offline, reach, readBody, refusal } from './http.ts';
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
    const over = new AbortController();
    const parents = options.signal ? [options.signal, closing.signal] : [closing.signal];
    try {
      return await post(frame, options, anySignal(...parents, over.signal));
    } finally {
      over.abort(); // nothing is left to end; anySignal lets go of the others
    }
  }

  async function post(frame: Uint8Array, options: SendOptions, signal: AbortSignal): Promise<Delivery> {
    const { deadlineMs, urgency, onReply } = options;
    const headers = {
      'content-type': FRAME_TYPE,
      accept: onReply ? `${FRAME_TYPE}, ${MESSAGES_TYPE}` : FRAME_TYPE,
      ...(deadlineMs !== undefined && { 'isthmus-deadline': String(Math.max(1, Math.ceil(deadlineMs))) }),
      ...(urgency !== undefined && { priority: `u=${urgency}` }),
      ...(await authorization(token)),
    };
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
    const type = mediaType(response);
    if (type !== FRAME_TYPE && !(onReply && type === MESSAGES_TYPE)) throw await refusal(response, url);
    const { reply, bytesDown, since } =
      onReply && type === MESSAGES_TYPE
        ? await readReplies(response, url, signal, onReply)
        : await readBody(response, url, MAX_REPLY, signal).then((b) => ({
            reply: b,
            bytesDown: b.byteLength,
            since: answered,
          }));
    return {
      frame: reply,
      via: 'fetch',
      timings: { firstByte: since - sent, download: performance.now() - since },
      bytesUp: frame.byteLength,
      bytesDown,
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

/** Replies as they come: all but the last to `onReply`. @returns the last, and when its first byte came */
async function readReplies(
  response: Response,
  url: string,
  signal: AbortSignal,
  onReply: (frame: Uint8Array) => void,
): Promise<{ reply: Uint8Array; bytesDown: number; since: number }> {
  const messages = new MessageReader();
  let bytesDown = 0;
  let since = 0;
  try {
    for await (const chunk of bodyChunks(response)) {
      const now = performance.now();
      if (messages.pending === 0) since = now;
      for (const { type, more, body } of messages.push(chunk)) {
        if (type === 'reply') {
          bytesDown += body.byteLength;
          if (!more) return { reply: body, bytesDown, since };
          onReply(body);
        }
        since = now;
      }
    }
  } catch (thrown) {
    if (signal.aborted) throw abortError(signal);
    throw thrown instanceof IsthmusError ? thrown : offline(url, thrown);
  }
  throw offline(url, new Error('the answer ended before the last reply'));
}
