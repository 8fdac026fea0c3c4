// Which pages may call: an allow-list of origins (RFC 6454), the same for CORS, WebSocket and WebTransport. Programs that
// are no page send no origin; what they may do is up to their token.
import { IsthmusError } from '../../errors.ts';

/** `'*'` for every page, `'null'` included. */
export type OriginList = readonly string[] | '*';

/** @returns whether a page of `origin` may call; one that `host` served itself always may */
export type OriginCheck = (origin: string | null | undefined, host?: string | undefined) => boolean;

/** @throws IsthmusError OPTION_INVALID for an entry that no browser would ever send */
export function originCheck(list: OriginList): OriginCheck {
  if (list === '*' || list.includes('*')) return () => true;
  const allowed = new Set(list.map(normal));
  return (origin, host) => {
    if (origin === undefined || origin === null) return true;
    if (allowed.has(origin)) return true;
    return host !== undefined && sameHost(hostOf(origin), host.toLowerCase());
  };
}

/** Schemes differ behind a proxy that ends TLS, so the host alone is compared; '' for what is no web page. */
function hostOf(origin: string): string {
  return /^https?:\/\/([^/?#@\s]+)$/.exec(origin)?.[1] ?? '';
}

/** Names of this machine are one host: browsers that reach `localhost` over TCP need an address of it over QUIC. */
function sameHost(a: string, b: string): boolean {
  const plain = (host: string) => host.replace(/^(localhost|\[::1\])(?=:|$)/, '127.0.0.1');
  return plain(a) === plain(b);
}

/** As browsers write it: lower case, no slash at the end, no default port. */
function normal(entry: string): string {
  const url = /^https?:\/\//i.test(entry) && URL.canParse(entry) ? new URL(entry) : undefined;
  if (url && url.pathname === '/' && !url.search && !url.hash && !url.username) return url.origin;
  throw new IsthmusError(
    'OPTION_INVALID',
    `'${entry}' is no origin. Write scheme, host and port only, as https://app.example or http://localhost:5173, or '*'.`,
  );
}
