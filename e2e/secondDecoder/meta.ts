// The meta of a frame: a JSON object in UTF-8, at most 100 deep. Depth is counted before JSON.parse sees the text.
import { demand, Refused } from './refuse.ts';

/** The object; `{}` for no bytes. */
export function readMeta(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length === 0) return {};
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused('meta is not UTF-8');
  }
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted && c === '\\') i++;
    else if (c === '"') quoted = !quoted;
    else if (!quoted && (c === '{' || c === '[')) demand(++depth <= 100, 'meta is nested deeper than 100');
    else if (!quoted && (c === '}' || c === ']')) depth--;
  }
  let meta: unknown;
  try {
    meta = JSON.parse(text);
  } catch {
    throw new Refused('meta is not JSON');
  }
  demand(typeof meta === 'object' && meta !== null && !Array.isArray(meta), 'meta is not a JSON object');
  return meta as Record<string, unknown>;
}
