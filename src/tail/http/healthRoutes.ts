// GET /healthz (the process lives) and GET /readyz (it takes work). Load balancers look at the second one; it turns to
// 503 the moment the server begins to stop.
import { Hono } from 'hono';
import type { TailContext, TailEnv } from '../context.ts';

export function healthRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();
  const headers = { 'cache-control': 'no-store' };
  routes.get('/healthz', (c) => c.json({ status: 'ok' }, 200, headers));
  routes.get('/readyz', (c) =>
    tail.stopping
      ? c.json({ status: 'stopping' }, 503, headers)
      : c.json({ status: 'ready', models: tail.registry.models.size }, 200, headers),
  );
  return routes;
}
