// Discovery: asks a tail over HTTP which links it has, and for the ticket that opens one. A tail of an older release, or
// one behind a gateway that passes nothing else, has none; then requests go by fetch.
import { IsthmusError } from '../errors.ts';
import { authorization, mediaType, reach, readJson, refusal } from './http.ts';
import type { TokenSource } from './transport.ts';
import type { WebTransportAddress } from './webtransport.ts';

export interface LinkOffer {
  /** `https://host/link` for WebSocket; absent where the tail has none. */
  websocket?: string;
  webtransport?: WebTransportAddress;
  /** Opening a link needs a ticket. */
  ticket: boolean;
}

/**
 * @param base `https://host`, with a path prefix where there is one, no slash at the end
 * @returns what the tail offers; nothing at all where it knows no links
 * @throws IsthmusError OFFLINE, UNAUTHENTICATED, …; the signal's reason
 */
export async function discoverLinks(
  base: string,
  token: TokenSource | undefined,
  signal: AbortSignal,
): Promise<LinkOffer> {
  const url = `${base}/link`;
  const headers = { accept: 'application/json', ...(await authorization(token)) };
  const response = await reach(url, { headers, credentials: 'omit', signal });
  if (response.ok && mediaType(response) === 'application/json')
    return readOffer(base, await readJson(response, url, signal));
  const error = await refusal(response, url);
  if (response.status === 404 || error.code === 'NOT_FOUND' || error.code === 'NOT_ISTHMUS')
    return { ticket: false };
  throw error;
}

function readOffer(base: string, json: unknown): LinkOffer {
  const { version, websocket, webtransport, ticket } = (json ?? {}) as Record<string, unknown>;
  if (version !== 1) return { ticket: false };
  const { port, certificateHashes } = (webtransport ?? {}) as { port?: unknown; certificateHashes?: unknown };
  const hashes = Array.isArray(certificateHashes)
    ? certificateHashes.filter((hash): hash is string => /^[A-Za-z0-9+/]{43}=$/.test(String(hash)))
    : [];
  return {
    ...(websocket === true && { websocket: `${base}/link` }),
    ...(typeof webtransport === 'object' &&
      webtransport !== null && {
        webtransport: {
          url: webTransportUrl(base, port, hashes.length > 0),
          ...(hashes.length > 0 && { certificateHashes: hashes }),
        },
      }),
    ticket: ticket === true,
  };
}

/**
 * @param port the same as over TCP, unless the tail names one
 * @param byHash the certificate is known by its hash, so its names do not matter: then `localhost` is 127.0.0.1, where tails
 *   listen, for Chromium tries ::1 over QUIC and nothing else
 */
function webTransportUrl(base: string, port: unknown, byHash: boolean): string {
  const url = new URL(`${base}/link`);
  const own = url.port || (url.protocol === 'http:' ? '80' : '443');
  url.protocol = 'https:';
  url.port = Number.isInteger(port) ? String(port) : own;
  if (byHash && url.hostname === 'localhost') url.hostname = '127.0.0.1';
  return url.href;
}

/**
 * A ticket for one link, in exchange for the token.
 * @returns undefined where the tail asks for none
 */
export async function fetchTicket(
  base: string,
  token: TokenSource | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const url = `${base}/tickets`;
  const headers = { accept: 'application/json', ...(await authorization(token)) };
  const response = await reach(url, { method: 'POST', headers, credentials: 'omit', signal });
  if (!response.ok || mediaType(response) !== 'application/json') {
    const error = await refusal(response, url);
    if (response.status === 404) return undefined;
    throw error;
  }
  const { ticket } = ((await readJson(response, url, signal)) ?? {}) as { ticket?: unknown };
  if (typeof ticket === 'string') return ticket === '' ? undefined : ticket;
  throw new IsthmusError('NOT_ISTHMUS', `${url} answered without a ticket. Check the endpoint.`);
}
