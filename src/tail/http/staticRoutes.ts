// The built web app on the same origin: files with their right types, index.html for addresses a browser navigates to.
// Files whose names carry a content hash are kept for ever; the rest is asked for again.
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import type { TailEnv } from '../context.ts';
import { pageHeaders } from './headers.ts';

/** Vite's `assets/name-BHx3kQ9_.js`; other folders may hold names that only look like it. */
const HASHED = /^\/assets\/.*-[\w-]{8}\.\w+$/;

export function staticRoutes(dir: string): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();
  const index = serveStatic<TailEnv>({ root: dir, path: 'index.html' });
  routes.use(pageHeaders);
  routes.use(async (c, next) => {
    await next();
    // Not in serveStatic's onFound: headers set there come too late for the response it has made.
    if (c.res.status !== 200) return;
    c.res.headers.set('cache-control', HASHED.test(c.req.path) ? FOR_EVER : 'no-cache');
    const modified = c.res.headers.get('last-modified');
    if (modified !== null && modified === c.req.header('if-modified-since')) {
      await c.res.body?.cancel();
      const { headers } = c.res;
      headers.delete('content-length');
      c.res = undefined; // Hono would otherwise merge the old headers into the new answer
      c.res = new Response(null, { status: 304, headers });
    }
  });
  routes.get('*', serveStatic<TailEnv>({ root: dir }));
  routes.get('*', (c, next) =>
    (c.req.header('accept') ?? '').includes('text/html') ? index(c, next) : next(),
  );
  return routes;
}

const FOR_EVER = 'public, max-age=31536000, immutable';
