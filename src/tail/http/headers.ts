// Headers for safety. Every answer: no sniffing, no referrer, who may embed it. The app's files besides: what they may
// load, and the cross-origin isolation that lets their wasm use threads. Which origins may call is CORS, in app.ts.
import type { MiddlewareHandler } from 'hono';
import type { TailEnv } from '../context.ts';

/** For the app's page: our own files only, WebAssembly allowed, workers and pictures also from blobs. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob: mediastream:",
  // The page can be pointed at a tail of another origin, which must allow it by CORS.
  "connect-src 'self' https: wss: blob: data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join('; ');

const PAGE: Record<string, string> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
  'cross-origin-opener-policy': 'same-origin',
  // On scripts too: a worker must ask for isolation itself, or an isolated page may not start it.
  'cross-origin-embedder-policy': 'require-corp',
};

/** For every answer. @param shared - other origins may use the answers (CORS is configured) */
export function publicHeaders(shared: boolean): MiddlewareHandler<TailEnv> {
  return setting({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': shared ? 'cross-origin' : 'same-origin',
    // Without it a page of another origin sees no Server-Timing and no sizes.
    ...(shared ? { 'timing-allow-origin': '*' } : {}),
  });
}

/** For the files of the web app. */
export const pageHeaders: MiddlewareHandler<TailEnv> = setting(PAGE);

function setting(headers: Record<string, string>): MiddlewareHandler<TailEnv> {
  return async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
  };
}
