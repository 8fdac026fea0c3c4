// One log line per request: id, what was asked, status, milliseconds, bytes. Nothing of the feature, no query string
// (tokens end up in those), no header. It also counts what is in flight, which the graceful stop waits for.
import type { MiddlewareHandler } from 'hono';
import type { TailContext, TailEnv } from '../context.ts';

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
      const code = c.get('errorCode');
      const fields = {
        requestId: id,
        route: `${c.req.method} ${c.req.path.slice(0, 160)}`,
        status: c.res.status,
        ms: Math.round((performance.now() - started) * 10) / 10,
        bytesIn: c.get('bytesIn') ?? 0,
        bytesOut: Number(c.res.headers.get('content-length') ?? 0),
        ...(code && { code }),
      };
      tail.log.info(fields, 'request');
    }
  };
}
