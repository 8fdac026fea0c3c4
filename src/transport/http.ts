// What every HTTP answer of a tail goes through: reaching it, refusing what is no Isthmus, reading with a limit.
// Used by the fetch transport and by connect(); knows content types and statuses, never frames.
import { abortError } from '../abort.ts';
import { IsthmusError } from '../errors.ts';
import type { TokenSource } from './transport.ts';

/** The `Authorization` header for a token, or nothing. */
export async function authorization(token: TokenSource | undefined): Promise<Record<string, string>> {
  if (token === undefined) return {};
  const value = typeof token === 'function' ? await token() : token;
  if (value === '') return {};
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new IsthmusError(
      'OPTION_INVALID',
      'The token must be printable ASCII without blanks; check `token`.',
    );
  }
  return { authorization: `Bearer ${value}` };
}

/** `fetch` whose failures say what to do. @throws OFFLINE, or the signal's reason. */
export async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (thrown) {
    if (init.signal?.aborted) throw abortError(init.signal);
    throw offline(url, thrown);
  }
}

/** Nobody answered, or stopped in the middle. */
export function offline(url: string, thrown: unknown): IsthmusError {
  const { origin } = new URL(url);
  return new IsthmusError(
    'OFFLINE',
    `No tail could be reached at ${origin} (${reason(thrown)}). Check that it runs there (\`isthmus serve\`), that the ` +
      'network lets you through, and, in a browser, that the tail allows the origin of this page.',
    { cause: thrown },
  );
}

/** Node's fetch hides the useful half of its failures in `cause`. */
function reason(thrown: unknown): string {
  const { message, cause } = (thrown ?? {}) as {
    message?: string;
    cause?: { code?: string; message?: string };
  };
  return cause?.code ?? cause?.message ?? message ?? String(thrown);
}

/** Content type without parameters, lower case; '' when there is none. */
export function mediaType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
}

/**
 * Turns an answer that is not what was asked for into the error it stands for: what the tail says in JSON, a gateway
 * whose tail is down, or a server that is something else.
 */
export async function refusal(response: Response, url: string): Promise<IsthmusError> {
  const type = mediaType(response);
  if (type === 'application/json') {
    const json = await readJson(response, url).catch(() => undefined);
    const error = (json as { error?: { code?: unknown } } | undefined)?.error;
    if (typeof error?.code === 'string') return IsthmusError.fromJSON(error);
  } else {
    await response.body?.cancel().catch(() => undefined);
  }
  const { origin, pathname } = new URL(url);
  if (response.status === 502 || response.status === 503 || response.status === 504) {
    return new IsthmusError(
      'OFFLINE',
      `A gateway at ${origin} answered ${response.status}: the tail behind it is not there. Try again, or ask who runs it.`,
    );
  }
  return new IsthmusError(
    'NOT_ISTHMUS',
    `${origin} answered ${pathname} with ${response.status} and ${type || 'no content type'}, which no Isthmus tail does. ` +
      'Check the endpoint; it looks like https://host/models/NAME.',
  );
}

/**
 * Reads a body, never holding more than `limit` bytes.
 * @throws TOO_LARGE; OFFLINE when the connection breaks before the end.
 */
export async function readBody(response: Response, url: string, limit: number, signal?: AbortSignal) {
  const declared = Number(response.headers.get('content-length') ?? 0);
  if (declared > limit) {
    await response.body?.cancel().catch(() => undefined);
    throw tooLarge(url, limit);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of bodyChunks(response)) {
      length += chunk.byteLength;
      if (length > limit) throw tooLarge(url, limit); // leaving the loop cancels the stream
      chunks.push(chunk);
    }
  } catch (thrown) {
    if (signal?.aborted) throw abortError(signal);
    throw thrown instanceof IsthmusError ? thrown : offline(url, thrown);
  }
  const whole = chunks.length === 1 ? chunks[0]! : new Uint8Array(length);
  if (chunks.length > 1) {
    let offset = 0;
    for (const chunk of chunks) {
      whole.set(chunk, offset);
      offset += chunk.byteLength;
    }
  }
  return whole;
}

/** Safari's ReadableStream is not async iterable, so a reader it is. */
export async function* bodyChunks(response: Response): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** A JSON body of at most 8 MiB. @throws NOT_ISTHMUS when it is not JSON. */
export async function readJson(response: Response, url: string, signal?: AbortSignal): Promise<unknown> {
  const bytes = await readBody(response, url, 8 * 1024 * 1024, signal);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new IsthmusError('NOT_ISTHMUS', 'The endpoint answered with damaged JSON. Check its address.', {
      cause,
    });
  }
}

function tooLarge(url: string, limit: number): IsthmusError {
  return new IsthmusError(
    'TOO_LARGE',
    `The answer of ${new URL(url).origin} is larger than ${Math.round(limit / 1048576)} MiB. Check the endpoint.`,
  );
}
