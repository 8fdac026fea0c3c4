// One log line per request: id, what was asked and by whom, status, milliseconds, bytes. Nothing of the feature, no query
// string (tokens end up in those), no header. It also counts what is in flight, which the graceful stop waits for.
import type { MiddlewareHandler } from 'hono';
import type { TailContext, TailEnv, TailHandlerContext } from '../context.ts';
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
      c.header('x-request-id', id);
      if (tail.stopping) c.header('connection', 'close');
      note(tail, c, performance.now() - started);
    }
  };
}

function note({ log, metrics }: TailContext, c: TailHandlerContext, ms: number): void {
  const code = c.get('errorCode');
  const subject = c.get('subject');
  const bytesIn = c.get('bytesIn') ?? 0;
  const bytesOut = Number(c.res.headers.get('content-length') ?? 0);
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
