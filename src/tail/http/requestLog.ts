// One log line per request: id, what was asked and by whom, status, milliseconds, bytes. Nothing of the feature, no query
// string (tokens end up in those), no header; with several answers after the last. It also counts what is in flight, which
// the graceful stop waits for.
import type { MiddlewareHandler } from 'hono';
import { IsthmusError } from '../../errors.ts';
import type { Sent, TailContext, TailEnv, TailHandlerContext } from '../context.ts';
import { subjectName } from '../operate/gate.ts';

/** Counted as requests of the tail; health, manifests and artifacts would blur the figures. */
const INFER = /^(\/v2)?\/models\/([^/]+|[^/]+\/versions\/[^/]+)\/infer$/;

export function requestLog(tail: TailContext): MiddlewareHandler<TailEnv> {
  return async (c, next) => {
    const started = performance.now();
    const given = c.req.header('x-request-id') ?? '';
    const id = /^[\w-]{8,64}$/.test(given) ? given : crypto.randomUUID();
    c.set('requestId', id);
    tail.inFlight++;
    try {
      await next();
    } finally {
      tail.inFlight--;
      // Not by c.header(), which makes another Response of what is finished.
      c.res.headers.set('x-request-id', id);
      if (tail.stopping) c.res.headers.set('connection', 'close');
      const rest = c.get('rest');
      if (rest) void rest.then((sent) => note(tail, c, performance.now() - started, sent));
      else note(tail, c, performance.now() - started);
    }
  };
}

/** @param sent where there were several answers, one after another */
function note({ log, metrics }: TailContext, c: TailHandlerContext, ms: number, sent?: Sent): void {
  const code = sent?.thrown === undefined ? c.get('errorCode') : codeOf(sent.thrown, c);
  const subject = c.get('subject');
  const bytesIn = c.get('bytesIn') ?? 0;
  const bytesOut = sent?.bytes ?? Number(c.res.headers.get('content-length') ?? 0);
  const fields = {
    requestId: c.get('requestId'),
    transport: 'http',
    route: `${c.req.method} ${c.req.path.slice(0, 160)}`,
    status: c.res.status,
    ms: Math.round(ms * 10) / 10,
    bytesIn,
    bytesOut,
    ...(subject && { subject: subjectName(subject) }),
    ...(code && { code }),
  };
  log.info(fields, 'request');
  if (c.req.method === 'POST' && INFER.test(c.req.path))
    metrics.answered({ transport: 'http', code: code ?? 'ok', ms, bytesIn, bytesOut });
}

function codeOf(thrown: unknown, c: TailHandlerContext): string {
  if (c.req.raw.signal.aborted) return 'ABORTED';
  return IsthmusError.from(thrown, 'INTERNAL', 'An answer broke off.').code;
}
