// Bodies of the binary tensor data extension: JSON first, then the tensors in the order of the JSON. Requests and answers
// have the same form, so the tail and its backend both read and write here. What the JSON means is the caller's business.
import { IsthmusError } from '../../errors.ts';
import { jsonDepth, MAX_JSON_DEPTH } from '../../wire/jsonDepth.ts';

/** Its value is the length of the JSON. The content type says nothing: NVIDIA's own client sends none. */
export const LENGTH_HEADER = 'inference-header-content-length';

/**
 * The length of the JSON in a body: all of it without the header, 0 for a body that is one tensor and nothing else.
 * @throws IsthmusError REQUEST_INVALID
 */
export function jsonLength(header: string | null | undefined, bodyBytes: number): number {
  if (header === null || header === undefined) return bodyBytes;
  const length = Number(header);
  if (/^\d{1,15}$/.test(header) && length <= bodyBytes) return length;
  throw new IsthmusError(
    'REQUEST_INVALID',
    `Inference-Header-Content-Length is '${header.slice(0, 32)}', but the body has ${bodyBytes} bytes.`,
  );
}

/** @throws IsthmusError REQUEST_INVALID: no JSON, no object, nested too deep */
export function parseObject(bytes: Uint8Array): Record<string, unknown> {
  if (jsonDepth(bytes) > MAX_JSON_DEPTH) throw invalid(`nests deeper than ${MAX_JSON_DEPTH} levels`);
  let json: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // Reading every number twice is slow, and only int64 has more digits than a double keeps.
    json =
      /\d{16}/.test(text) && text.includes('INT64') ? JSON.parse(text, exactly as never) : JSON.parse(text);
  } catch {
    throw invalid('is no valid JSON');
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw invalid('is no JSON object');
}

/** Keeps long whole numbers as text with all their digits (the third argument: Node 21 and later). */
function exactly(_key: string, value: unknown, context: { source?: string }): unknown {
  const long =
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source ?? '');
  return long ? context.source : value;
}

/** Hands out the tensors behind the JSON, one after the other. */
export class BinaryParts {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** @throws IsthmusError REQUEST_INVALID when there are not that many bytes left */
  take(bytes: number, name: string): Uint8Array {
    if (bytes > this.#bytes.length - this.#at)
      throw invalid(`declares ${bytes} bytes for '${name}', but ${this.#bytes.length - this.#at} are left`);
    this.#at += bytes;
    return this.#bytes.subarray(this.#at - bytes, this.#at);
  }

  /** @throws IsthmusError REQUEST_INVALID when bytes are left that no tensor claims */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw invalid(`has ${left} bytes behind the last tensor`);
  }
}

/** @returns the whole body and the length of its JSON */
export function joinBody(
  json: object,
  parts: readonly Uint8Array[],
): { body: Uint8Array<ArrayBuffer>; jsonBytes: number } {
  const head = new TextEncoder().encode(JSON.stringify(json));
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, head.length));
  body.set(head);
  let at = head.length;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return { body, jsonBytes: head.length };
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError(
    'REQUEST_INVALID',
    `The body ${reason}. See the Open Inference Protocol, "Inference", and its binary tensor data extension.`,
  );
}
