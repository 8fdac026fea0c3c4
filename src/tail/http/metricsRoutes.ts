// GET /metrics: the tail's counters for Prometheus. They tell how busy a tail is and which models it has, so by default
// only the machine itself and holders of a token read them.
import { Hono } from 'hono';
import { IsthmusError } from '../../errors.ts';
import type { TailContext, TailEnv } from '../context.ts';
import { isLoopback } from '../operate/clientAddress.ts';
import type { PrometheusMetrics } from '../operate/prometheus.ts';
import { clientOf } from './gate.ts';

/** Who reads /metrics: this machine and holders of a token, everybody, or nobody. */
export type MetricsAccess = 'local' | 'public' | 'off';

export function metricsRoutes(
  tail: TailContext,
  metrics: PrometheusMetrics,
  access: MetricsAccess,
): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();
  if (access === 'off') return routes;
  routes.get('/metrics', async (c) => {
    if (access === 'local') {
      const remote = c.env?.incoming?.socket.remoteAddress ?? '';
      // What a proxy on this machine passes on comes from somewhere else.
      const passedOn = c.req.header('x-forwarded-for') ?? c.req.header('forwarded');
      if (passedOn !== undefined || !isLoopback(remote)) {
        if (!tail.gate.closed) throw elsewhere();
        await tail.gate.bearer(c.req.header('authorization'), clientOf(tail, c));
      }
    }
    return c.body(await metrics.text(), 200, {
      'content-type': metrics.contentType,
      'cache-control': 'no-store',
    });
  });
  return routes;
}

function elsewhere(): IsthmusError {
  return new IsthmusError(
    'FORBIDDEN',
    'Metrics are read from this machine only. Scrape it locally, or its operator sets `metrics` to public.',
  );
}
