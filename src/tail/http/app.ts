// The Hono application: middleware and route groups in the order a request meets them. It opens no socket, so tests
// call `app.request`; listen.ts puts it on a port.
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { IsthmusError } from '../../errors.ts';
import type { TailContext, TailEnv } from '../context.ts';
import { oipRoutes } from '../oip/routes.ts';
import type { PrometheusMetrics } from '../operate/prometheus.ts';
import { artifactRoutes } from './artifactRoutes.ts';
import { replyError } from './errorReply.ts';
import { gateKeeper } from './gate.ts';
import { publicHeaders } from './headers.ts';
import { healthRoutes } from './healthRoutes.ts';
import { inferRoutes } from './inferRoutes.ts';
import { linkRoutes } from './linkRoutes.ts';
import { type MetricsAccess, metricsRoutes } from './metricsRoutes.ts';
import { modelRoutes } from './modelRoutes.ts';
import { requestLimits } from './requestLimits.ts';
import { requestLog } from './requestLog.ts';
import { staticRoutes } from './staticRoutes.ts';
import { ticketRoutes } from './ticketRoutes.ts';

export interface AppOptions {
  /** Origins that pages may call from; none when absent. */
  cors?: readonly string[] | '*' | undefined;
  staticDir?: string | undefined;
  /** Counters that /metrics shows, and to whom; default: this machine and holders of a token. */
  prometheus?: PrometheusMetrics | undefined;
  metrics?: MetricsAccess | undefined;
}

const READ = 'GET, HEAD';
/** Every path that exists, with its methods: anything else on it is 405 with `Allow`, RFC 9110, 15.5.6. */
const METHODS: Record<string, string> = {
  '/models': READ,
  '/models/:name/manifest.json': READ,
  '/models/:name/versions/:tag/manifest.json': READ,
  '/models/:name/infer': 'POST',
  '/artifacts/:sha256': READ,
  '/link': 'GET, HEAD, POST',
  '/healthz': READ,
  '/readyz': READ,
  '/tickets': 'POST',
};

export function createApp(tail: TailContext, options: AppOptions = {}): Hono<TailEnv> {
  const app = new Hono<TailEnv>();
  app.onError((thrown, c) => replyError(c, thrown, tail.log));
  app.use(requestLog(tail));
  app.use(requestLimits(tail));
  app.use(publicHeaders(options.cors !== undefined));
  if (options.cors !== undefined) {
    app.use(
      cors({
        // The list can change while the tail runs.
        origin: options.cors === '*' ? '*' : (origin) => (tail.gate.allowsOrigin(origin) ? origin : null),
        allowMethods: ['GET', 'HEAD', 'POST'],
        allowHeaders: [
          'content-type',
          'accept',
          'authorization',
          'range',
          'if-range',
          'if-none-match',
          'x-request-id',
          'isthmus-deadline',
          'priority',
          'content-encoding',
          'inference-header-content-length',
        ],
        exposeHeaders: [
          'server-timing',
          'content-range',
          'etag',
          'retry-after',
          'x-request-id',
          'inference-header-content-length',
        ],
        maxAge: 86400,
      }),
    );
  }
  app.use(gateKeeper(tail));
  for (const group of [
    modelRoutes,
    artifactRoutes,
    inferRoutes,
    linkRoutes,
    oipRoutes,
    healthRoutes,
    ticketRoutes,
  ])
    app.route('/', group(tail));
  if (options.prometheus) app.route('/', metricsRoutes(tail, options.prometheus, options.metrics ?? 'local'));

  for (const [path, allow] of Object.entries(METHODS)) {
    app.all(path, (c) => {
      const error = new IsthmusError('REQUEST_INVALID', `This address answers ${allow} only.`);
      return replyError(c, error, tail.log, { status: 405, headers: { allow } });
    });
  }
  if (options.staticDir !== undefined) app.route('/', staticRoutes(options.staticDir));
  app.notFound((c) => {
    const error = new IsthmusError(
      'NOT_FOUND',
      'There is nothing at this address. A tail has /models, /models/NAME/manifest.json, /models/NAME/infer and /artifacts/SHA256.',
    );
    return replyError(c, error, tail.log);
  });
  return app;
}
