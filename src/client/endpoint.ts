// Endpoint: from the address a person types to the URLs of one model, asking the tail where the address names none.
import { IsthmusError } from '../errors.ts';
import { type Manifest, parseManifest } from '../model/manifest.ts';
import { authorization, mediaType, reach, readJson, refusal } from '../transport/http.ts';
import type { TokenSource } from '../transport/transport.ts';

export interface Endpoint {
  /** `https://host`, with the path prefix: where the tail itself begins. */
  base: string;
  /** `https://host/models/NAME` */
  model: string;
  /** `https://host/artifacts`; `/${sha256}` below it answers a segment. */
  artifacts: string;
}

interface Access {
  token?: TokenSource | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Accepts `https://host/models/NAME` with a slash, `manifest.json`, a query or a hash behind it, below a path prefix
 * too; and a bare `https://host`, which stands for the tail's only model. Relative addresses work in pages.
 *
 * @throws OPTION_INVALID for what is no http(s) address; OFFLINE, NOT_ISTHMUS; MODEL_NOT_FOUND with the tail's names.
 */
export async function resolveEndpoint(address: string, access: Access): Promise<Endpoint> {
  const url = parseAddress(address);
  const path = url.pathname.replace(/\/manifest\.json$/, '').replace(/\/+$/, '');
  const named = /^(.*)\/models\/([^/]+)$/.exec(path);
  if (named) return below(url.origin + named[1]!, named[2]!);
  const base = url.origin + path.replace(/\/models$/, '');
  const names = await listModels(base, access);
  if (names.length === 1) return below(base, encodeURIComponent(names[0]!));
  const choice = names.map((n) => `${base}/models/${n}`).join(', ');
  throw new IsthmusError(
    'MODEL_NOT_FOUND',
    names.length === 0 ? `The tail at ${base} serves no models yet.` : `Say which model: ${choice}.`,
  );
}

/** The model's manifest, validated. @throws also MODEL_NOT_FOUND with the names there are; MANIFEST_INVALID. */
export async function fetchManifest({ model }: Endpoint, access: Access): Promise<Manifest> {
  const url = `${model}/manifest.json`;
  const json = await getJson(url, access).catch(async (thrown: unknown) => {
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'MODEL_NOT_FOUND') throw thrown;
    throw await withNames(thrown, model, access);
  });
  const { format } = (json ?? {}) as { format?: unknown };
  if (typeof format !== 'string' || !format.startsWith('isthmus-manifest/')) {
    throw new IsthmusError(
      'NOT_ISTHMUS',
      `${url} answered JSON that is no Isthmus manifest. Check the endpoint; it looks like https://host/models/NAME.`,
    );
  }
  return parseManifest(json);
}

function parseAddress(address: string): URL {
  try {
    const url = new URL(address, globalThis.location?.href);
    if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  } catch {
    // Said below, together with other protocols.
  }
  throw new IsthmusError(
    'OPTION_INVALID',
    `'${address}' is no http(s) address. An endpoint looks like http://localhost:8787/models/NAME.`,
  );
}

const below = (base: string, name: string): Endpoint => ({
  base,
  model: `${base}/models/${name}`,
  artifacts: `${base}/artifacts`,
});

async function getJson(url: string, { token, signal }: Access): Promise<unknown> {
  const headers = { accept: 'application/json', ...(await authorization(token)) };
  const response = await reach(url, { headers, credentials: 'omit', ...(signal && { signal }) });
  if (!response.ok || mediaType(response) !== 'application/json') throw await refusal(response, url);
  return readJson(response, url, signal);
}

async function listModels(base: string, access: Access): Promise<string[]> {
  const json = (await getJson(`${base}/models`, access)) as { models?: unknown } | null;
  const models = json?.models;
  const names = Array.isArray(models) ? models.map((m) => (m as { name?: unknown } | null)?.name) : undefined;
  if (names?.every((n) => typeof n === 'string')) return names;
  throw new IsthmusError('NOT_ISTHMUS', `${base} answered /models with something else. Check the endpoint.`);
}

/** Best effort: the list helps, but its absence must not hide the error. */
async function withNames(error: IsthmusError, model: string, access: Access): Promise<IsthmusError> {
  const base = model.slice(0, model.lastIndexOf('/models/'));
  const names = await listModels(base, access).catch(() => []);
  const missing = names.filter((n) => !error.message.includes(n));
  if (missing.length === 0) return error;
  return new IsthmusError(error.code, `${error.message} There are: ${names.join(', ')}.`, { cause: error });
}
