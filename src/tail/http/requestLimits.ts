// Bounds on what comes before the body: the address, and the headers by count and size. Node bounds headers in all before
// a request exists; these are tighter, the same for HTTP/1.1 and HTTP/2, and answered in words.
import type { MiddlewareHandler } from 'hono';
import { IsthmusError } from '../../errors.ts';
import type { TailContext, TailEnv } from '../context.ts';
import { replyError } from './errorReply.ts';

/** Names and hashes are short; nothing of ours has a query. */
const ADDRESS_CHARACTERS = 2048;
/** Browsers send about twenty, proxies some more. */
const HEADERS = 100;
/** A token of 8 KiB and cookies. Node's own bound is 16 KiB. */
const HEADER_BYTES = 15 * 1024;

export function requestLimits(tail: TailContext): MiddlewareHandler<TailEnv> {
  return async (c, next) => {
    const refuse = (status: number, message: string) =>
      replyError(c, new IsthmusError('REQUEST_INVALID', message), tail.log, {
        status,
        headers: { connection: 'close' },
      });
    if (c.req.url.length > ADDRESS_CHARACTERS)
      return refuse(414, `The address has more than ${ADDRESS_CHARACTERS} characters. Shorten it.`);
    let count = 0;
    let bytes = 0;
    for (const [name, value] of headersOf(c.env?.incoming?.rawHeaders, c.req.raw.headers)) {
      count++;
      bytes += name.length + value.length + 4; // ": " and the line's end
    }
    if (count > HEADERS)
      return refuse(431, `${count} headers are more than the ${HEADERS} this tail reads. Send fewer.`);
    if (bytes > HEADER_BYTES)
      return refuse(431, `The headers have ${bytes} bytes; ${HEADER_BYTES} are read. Send less.`);
    return next();
  };
}

/** As they came, repeated ones apart; without a socket (in tests) as the request has them. */
function* headersOf(raw: readonly string[] | undefined, headers: Headers): Generator<[string, string]> {
  if (!raw) yield* headers;
  else for (let i = 0; i < raw.length; i += 2) yield [raw[i]!, raw[i + 1] ?? ''];
}
