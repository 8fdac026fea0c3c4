// The gate in front of the routes: origin, token, model, rate, in the order of their cost. Health, discovery and the files
// of the app are for everybody; whatever else is asked for needs a token where the gate is closed.
import type { MiddlewareHandler } from 'hono';
import { IsthmusError } from '../../errors.ts';
import type { TailContext, TailEnv, TailHandlerContext } from '../context.ts';
import { permitOf, subjectModels } from '../operate/gate.ts';
import { otherHost } from '../operate/hosts.ts';

/** What has an owner. All else is public: health, of the Open Inference Protocol too, the app, and /metrics, which asks for itself. */
const GUARDED = /^\/(models|artifacts|tickets|link|v2(?!\/health\/))(\/|$)/;

const HEALTH = /^\/(healthz|readyz|v2\/health\/(live|ready))$/;

export function gateKeeper(tail: TailContext): MiddlewareHandler<TailEnv> {
  const { gate } = tail;
  return async (c, next) => {
    const { path, method } = c.req;
    c.set('subject', '');
    // Discovery names no model. What links carry is asked about by the link itself.
    const { host } = new URL(c.req.url);
    // Probes ask a load balancer's way, by any name, and learn nothing.
    if (gate.allowsHost?.(host) === false && !HEALTH.test(path)) throw otherHost();
    if (!GUARDED.test(path) || (path === '/link' && isRead(method))) return next();
    refuseForeign(tail, c, host);
    const address = clientOf(tail, c);
    const permit = await permitOf(gate, c.req.header('authorization'), address);
    const { subject } = permit;
    c.set('permit', permit);
    c.set('subject', subject);
    await gate.admit(subject, address);
    refuseOtherModels(tail, subject, path);
    await next();
    // Shared caches would hand it to those who have no token (RFC 9111, 3.5).
    const caching = c.res.headers.get('cache-control');
    if (gate.closed && caching) c.res.headers.set('cache-control', caching.replace('public', 'private'));
  };
}

/** Address of the client of a request, by the rules of the gate. */
export function clientOf(tail: TailContext, c: TailHandlerContext): string {
  return tail.gate.addressOf(c.env?.incoming?.socket.remoteAddress, c.req.header('x-forwarded-for'));
}

/**
 * A page on another host needs to be on the list. Browsers send `Sec-Fetch-Site` themselves and let no page set it, so it
 * tells a page of ours also where a proxy changed the host.
 */
function refuseForeign(tail: TailContext, c: TailHandlerContext, host: string): void {
  if (c.req.header('sec-fetch-site') === 'same-origin') return;
  if (tail.gate.allowsOrigin(c.req.header('origin'), host)) return;
  throw new IsthmusError(
    'FORBIDDEN',
    'Pages of this origin may not call this tail. Its operator adds the origin to `cors`.',
  );
}

/**
 * Where a token is for certain models only. What a handler would find under another spelling of its name is refused here.
 * @throws IsthmusError FORBIDDEN
 */
function refuseOtherModels({ gate, registry }: TailContext, subject: string, path: string): void {
  const allowed = subjectModels(subject);
  if (!allowed) return;
  const [, route, name = ''] = path.split('/');
  if (route === 'models' && name) gate.allowsModel(subject, name);
  if (route !== 'artifacts') return;
  // Several models may share a file; one of them is enough.
  const usable = [...registry.versions.values()]
    .flat()
    .filter(({ manifest }) => allowed.includes(manifest.name));
  if (usable.some(({ artifacts }) => artifacts.has(name))) return;
  throw new IsthmusError(
    'FORBIDDEN',
    'No model that this token is for has this file. Fetch the manifest anew.',
  );
}

const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD';
