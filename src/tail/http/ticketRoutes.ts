// POST /tickets: a page trades its token for a ticket that opens one link (WebSocket, WebTransport). The gate's middleware
// has checked the token already; a tail that asks for none gives an empty ticket.
import { Hono } from 'hono';
import type { TailContext, TailEnv } from '../context.ts';

export function ticketRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();
  routes.post('/tickets', (c) =>
    c.json(tail.gate.issue(c.get('permit') ?? { subject: c.get('subject') ?? '' }), 200, {
      'cache-control': 'no-store',
    }),
  );
  return routes;
}
