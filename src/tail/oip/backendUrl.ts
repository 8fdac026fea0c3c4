// `--backend oip+grpc://host:port` and its kin: reads the address of an engine and the template of its model names.
import { IsthmusError } from '../../errors.ts';

export interface BackendUrl {
  protocol: 'grpc' | 'http';
  tls: boolean;
  /** `host:port`, brackets around IPv6. */
  authority: string;
  /** Before /v2, for REST behind a gateway; without a slash at its end. */
  path: string;
}

/** @throws IsthmusError OPTION_INVALID */
export function parseBackendUrl(text: string): BackendUrl {
  const match = /^oip\+(grpc|http)(s?):\/\/(.+)$/.exec(text);
  // `https:` makes URL parse host, port and path by the rules of the web.
  const url = match && URL.canParse(`https://${match[3]}`) ? new URL(`https://${match[3]}`) : undefined;
  if (!match || !url)
    throw invalid('it must be oip+grpc://HOST:PORT or oip+http://HOST:PORT, with an s before :// for TLS');
  if (url.username || url.password)
    throw invalid('it holds a user or a password; give the token as ISTHMUS_BACKEND_TOKEN');
  if (url.search || url.hash) throw invalid('it has a query or a fragment');
  const [protocol, tls] = [match[1] as 'grpc' | 'http', match[2] === 's'];
  const port = url.port || (/:443(\/|$)/.test(match[3]!) || tls ? '443' : '');
  if (port === '')
    throw invalid('it names no port (engines commonly have 8001 for gRPC, 8000 or 8080 for REST)');
  const path = url.pathname.replace(/\/+$/, '');
  if (protocol === 'grpc' && path !== '') throw invalid('gRPC has no path');
  return { protocol, tls, authority: `${url.hostname}:${port}`, path };
}

/** NAME@CUT is what a tail answers itself. */
export const MODEL_TEMPLATE = '{model}@{cut}';

/**
 * The engine's name for the segments behind a cut; the whole model goes by its own name.
 * @param template with {model}, {cut} (its name) and {index} (its number)
 * @throws IsthmusError OPTION_INVALID
 */
export function modelNames(
  template: string,
): (model: string, cut: { name: string; index: number } | undefined) => string {
  const unknown = /\{(?!(?:model|cut|index)\})[^}]*\}?/.exec(template)?.[0];
  if (unknown !== undefined || !template.includes('{model}') || !/\{(cut|index)\}/.test(template)) {
    throw new IsthmusError(
      'OPTION_INVALID',
      `The backend's model template '${template.slice(0, 100)}' cannot be used: it needs {model} and {cut} or {index}, and nothing else in braces.`,
    );
  }
  return (model, cut) => {
    if (!cut) return model;
    const values: Record<string, string> = { model, cut: cut.name, index: String(cut.index) };
    return template.replace(/\{(\w+)\}/g, (_, key: string) => values[key]!);
  };
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError('OPTION_INVALID', `The backend's address cannot be used: ${reason}.`);
}
