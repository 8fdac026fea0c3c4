// The one place where anything thrown becomes an HTTP answer: status, headers, and JSON or an error frame. What it
// cannot name goes to the log with the request id; no stack ever leaves the server.
import { IsthmusError } from '../../errors.ts';
import { FRAME_TYPE, INPUT_CUT } from '../../wire/layout.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import type { TailHandlerContext, TailLogger } from '../context.ts';

/** A message that lists a thousand names would not fit into a frame's header, not even escaped. */
const LONGEST_MESSAGE = 8000;

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
  const error = name(thrown, c, log);
  c.set('errorCode', error.code);
  const headers = new Headers({ 'cache-control': 'no-store', ...override.headers });
  if (COME_BACK.has(error.code)) headers.set('retry-after', String(Math.ceil(error.retryAfter ?? 1)));
  if (error.code === 'UNAUTHENTICATED') headers.set('www-authenticate', 'Bearer');
  const status = override.status ?? error.status;
  const frameTag = c.get('frameTag');
  if (frameTag !== undefined) {
    headers.set('content-type', FRAME_TYPE);
    const meta = { error: { code: error.code, message: error.message.slice(0, LONGEST_MESSAGE) } };
    const frame = writeFrame({ kind: 'error', modelTag: frameTag, cut: INPUT_CUT, meta, tensors: [] });
    return new Response(frame, { status, headers });
  }
  headers.set('content-type', 'application/json');
  return new Response(JSON.stringify({ error: error.toJSON() }), { status, headers });
}

/** Anything that is not ours is a defect of ours. */
function name(thrown: unknown, c: TailHandlerContext, log: TailLogger): IsthmusError {
  const requestId = c.get('requestId');
  if (thrown instanceof IsthmusError) {
    if (thrown.status === 500) log.error({ requestId, err: thrown }, thrown.message);
    return thrown;
  }
  log.error({ requestId, err: thrown }, 'unexpected error');
  return new IsthmusError(
    'INTERNAL',
    `The tail met a defect of its own; report it with the request id ${requestId}.`,
  );
}
