// Which tail and which model: turns the endpoint setting into addresses and asks the tail what it serves.
// Everything about running a model goes through `connect`; this is only the list to choose from.
import { IsthmusError } from '../index.ts';

export interface Address {
  /** Where `/models` is answered, without a slash behind it. */
  base: string;
  /** The model, when the address named one. */
  model?: string;
}

/**
 * Takes `https://host`, `https://host/prefix` and `https://host/models/NAME`; empty means `origin`.
 * @throws OPTION_INVALID for anything that is no http(s) address.
 */
export function parseAddress(text: string, origin: string): Address {
  if (text.trim() === '') return { base: origin };
  try {
    const url = new URL(text.trim());
    if (/^https?:$/.test(url.protocol)) {
      const path = url.pathname.replace(/\/+$/, '');
      const named = /^(.*)\/models\/([^/]+)$/.exec(path);
      if (named) return { base: url.origin + named[1], model: decodeURIComponent(named[2]!) };
      return { base: url.origin + path.replace(/\/models$/, '') };
    }
  } catch {
    // No address, or a name that is not percent-encoded: said below.
  }
  throw new IsthmusError(
    'OPTION_INVALID',
    `'${text}' is no http(s) address. A server looks like https://host:8787, an endpoint like https://host:8787/models/NAME.`,
  );
}

/**
 * Names of the models that the tail at `base` serves.
 * @throws OFFLINE, NOT_ISTHMUS, MODEL_NOT_FOUND when there are none; what a tail says that does not let this page in
 */
export async function listModels(base: string, signal: AbortSignal): Promise<string[]> {
  let response: Response;
  let forbidden = false;
  const note = () => {
    forbidden = true;
  };
  document.addEventListener('securitypolicyviolation', note);
  try {
    response = await fetch(`${base}/models`, { signal, headers: { accept: 'application/json' } });
  } catch (cause) {
    signal.throwIfAborted();
    await new Promise((done) => setTimeout(done)); // the violation is reported as a task of its own
    if (forbidden) {
      throw new IsthmusError(
        'OPTION_INVALID',
        `The server of this page does not let it talk to ${base} (content security policy). Open that server's own page, or leave the address empty.`,
      );
    }
    throw new IsthmusError(
      'OFFLINE',
      `No server answers at ${base}. Start one with \`npx isthmus serve models/\`, or check the connection.`,
      { cause },
    );
  } finally {
    document.removeEventListener('securitypolicyviolation', note);
  }
  const json: unknown = await response.json().catch(() => undefined);
  signal.throwIfAborted();
  const { error } = (json ?? {}) as { error?: { code?: unknown } | null };
  if (!response.ok && typeof error?.code === 'string') throw IsthmusError.fromJSON(error);
  const names = response.ok ? modelNames(json) : undefined;
  if (!names) {
    throw new IsthmusError(
      'NOT_ISTHMUS',
      `${base} answered, but it is no Isthmus tail (status ${response.status}). Name another server under Settings, Advanced.`,
    );
  }
  if (names.length === 0) {
    throw new IsthmusError(
      'MODEL_NOT_FOUND',
      `The tail at ${base} serves no model. Make one with \`isthmus split\` and restart it.`,
    );
  }
  return names;
}

/** `{ models: [{ name }] }` or the bare array; undefined for anything else. */
export function modelNames(json: unknown): string[] | undefined {
  const list = Array.isArray(json) ? json : (json as { models?: unknown } | null | undefined)?.models;
  if (!Array.isArray(list)) return undefined;
  const names = list.map((m: { name?: unknown } | null) => m?.name);
  return names.every((n) => typeof n === 'string') ? names : undefined;
}
