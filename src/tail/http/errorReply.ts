// The one place where anything thrown becomes an HTTP answer: status, headers, and JSON or an error frame
// (infer/errorFrame.ts, which links share).
import { FRAME_TYPE } from '../../wire/layout.ts';
import type { TailHandlerContext, TailLogger } from '../context.ts';
import { errorFrame, namedError } from '../infer/errorFrame.ts';
import { BytesResponse } from './bytesResponse.ts';

/** nginx's status for a client that went away before its answer; it is seen in logs only. */
const CLIENT_CLOSED = 499;

/** What may succeed a little later. */
const COME_BACK: ReadonlySet<string> = new Set(['OVERLOADED', 'CLOSED', 'RATE_LIMITED']);

interface Override {
  /** For the few cases where HTTP is finer than our codes: 405, 415, 416. */
  status?: number;
  headers?: Record<string, string>;
}

export function replyError(
  c: TailHandlerContext,
  thrown: unknown,
  log: TailLogger,
  override: Override = {},
): Response {
  if (c.req.raw.signal.aborted) {
    c.set('errorCode', 'ABORTED');
    return new Response(null, { status: CLIENT_CLOSED });
  }
  const error = namedError(thrown, c.get('requestId'), log);
  c.set('errorCode', error.code);
  const headers = new Headers({ 'cache-control': 'no-store', ...override.headers });
  if (COME_BACK.has(error.code)) headers.set('retry-after', String(Math.ceil(error.retryAfter ?? 1)));
  if (error.code === 'UNAUTHENTICATED') headers.set('www-authenticate', 'Bearer');
  const status = override.status ?? error.status;
  const frameTag = c.get('frameTag');
  if (frameTag !== undefined) {
    headers.set('content-type', FRAME_TYPE);
    const frame = errorFrame(error, frameTag);
    return new BytesResponse(frame, { status, headers });
  }
  headers.set('content-type', 'application/json');
  const body = JSON.stringify({ error: error.toJSON() });
  return new BytesResponse(body, { status, headers });
}
