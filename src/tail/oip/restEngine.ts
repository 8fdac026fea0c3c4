// An engine behind HTTP: binary tensors both ways where it can, numbers where it cannot. The content type is always
// application/octet-stream, which every engine takes; the header says how much of the body is JSON.
import { abortError } from '../../abort.ts';
import { IsthmusError } from '../../errors.ts';
import { tensorBytes } from '../../tensor.ts';
import type { BackendUrl } from './backendUrl.ts';
import { BinaryParts, joinBody, jsonLength, LENGTH_HEADER, parseObject } from './binaryBody.ts';
import { datatypeOf } from './datatypes.ts';
import {
  type Engine,
  type EngineOutcome,
  type EngineOutput,
  type EngineRequest,
  LARGEST_ANSWER,
} from './engine.ts';
import {
  engineAway,
  engineBusy,
  engineFailed,
  engineLate,
  isForgotten,
  sequenceLost,
} from './engineErrors.ts';

export function restEngine({ authority, tls, path }: BackendUrl, token: string | undefined): Engine {
  const address = `http${tls ? 's' : ''}://${authority}${path}`;
  return {
    address,
    async infer(request) {
      const { signal, sequence, deadline } = request;
      const ms = Math.max(1, Math.ceil(deadline - Date.now()));
      const late = AbortSignal.timeout(ms);
      const { body, jsonBytes } = requestBody(request);
      try {
        const response = await fetch(`${address}/v2/models/${encodeURIComponent(request.model)}/infer`, {
          method: 'POST',
          headers: {
            'content-type': 'application/octet-stream',
            [LENGTH_HEADER]: String(jsonBytes),
            'isthmus-deadline': String(Math.min(ms, 86_400_000)),
            ...(token && { authorization: `Bearer ${token}` }),
            // For proxies that keep a sequence on one instance.
            ...(sequence && { 'isthmus-sequence': sequence.id }),
          },
          body,
          redirect: 'error',
          signal: signal ? AbortSignal.any([signal, late]) : late,
        });
        const answer = await readAnswer(response, address);
        if (response.ok) return { outputs: read(answer, response.headers.get(LENGTH_HEADER), address) };
        return refusal(response, answer, request, address);
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason instanceof Error ? signal.reason : abortError();
        if (late.aborted) throw engineLate(address);
        if (thrown instanceof TypeError || (thrown as Error).name === 'TypeError') {
          const away = engineAway(address, thrown);
          if (neverSent(thrown)) return { refused: away };
          throw sequence ? sequenceLost(sequence.id, thrown) : away;
        }
        throw thrown;
      }
    },
    close: () => undefined,
  };
}

function requestBody({ id, inputs, outputs, sequence }: EngineRequest) {
  const parts = inputs.map(({ tensor }) => tensorBytes(tensor));
  const parameters = sequence && {
    // Numbers as numbers: Triton keeps text and numbers apart.
    sequence_id: /^\d{1,15}$/.test(sequence.id) ? Number(sequence.id) : sequence.id,
    sequence_start: sequence.start,
    sequence_end: sequence.end,
  };
  const json = {
    id,
    ...(parameters && { parameters }),
    inputs: inputs.map(({ name, tensor }, i) => ({
      name,
      shape: tensor.shape,
      datatype: datatypeOf(tensor.dtype),
      parameters: { binary_data_size: parts[i]!.length },
    })),
    outputs: outputs.map(({ name }) => ({ name, parameters: { binary_data: true } })),
  };
  return joinBody(json, parts);
}

/** The body in memory, within the bound. */
async function readAnswer(response: Response, address: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > LARGEST_ANSWER) throw engineFailed(address, `with more than ${LARGEST_ANSWER} bytes.`);
    parts.push(part);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** An answer that is no success: one to come back with, or a failure. */
function refusal(
  { status, headers }: Response,
  body: Uint8Array,
  { sequence }: EngineRequest,
  address: string,
): EngineOutcome {
  const text = errorText(body) || `status ${status}`;
  if (sequence && isForgotten(text)) throw sequenceLost(sequence.id);
  if (status === 503 || status === 429) {
    const seconds = Number(headers.get('retry-after') ?? 1);
    return { refused: engineBusy(address, text, Number.isFinite(seconds) && seconds > 0 ? seconds : 1) };
  }
  if (status === 504) throw engineLate(address);
  throw engineFailed(address, `${text} (${status})`);
}

/** `{"error": text}` by the protocol, `{"detail": …}` by servers made with FastAPI. */
function errorText(body: Uint8Array): string {
  try {
    const { error, detail } = parseObject(body);
    const text = error ?? detail ?? '';
    return typeof text === 'string' ? text : JSON.stringify(text);
  } catch {
    return Buffer.from(body.subarray(0, 200)).toString('utf8');
  }
}

/** @throws IsthmusError INFERENCE_FAILED for whatever is wrong with it */
function read(body: Uint8Array, header: string | null, address: string): EngineOutput[] {
  try {
    return outputsOf(body, header, address);
  } catch (thrown) {
    const error = IsthmusError.from(thrown, 'INFERENCE_FAILED', 'what cannot be read.');
    throw error.code === 'INFERENCE_FAILED' ? error : engineFailed(address, error.message, thrown);
  }
}

function outputsOf(body: Uint8Array, header: string | null, address: string): EngineOutput[] {
  const size = jsonLength(header, body.length);
  const { outputs } = parseObject(body.subarray(0, size));
  const parts = new BinaryParts(body.subarray(size));
  if (!Array.isArray(outputs)) throw engineFailed(address, 'without outputs.');
  return outputs.map((output: Record<string, unknown> | null) => {
    const { name, datatype, shape, parameters, data } = output ?? {};
    const named = typeof name === 'string' && typeof datatype === 'string';
    if (!named || !Array.isArray(shape) || !shape.every((d) => Number.isSafeInteger(d) && d >= 0))
      throw engineFailed(address, 'with an output that has no name, datatype or shape.');
    const bytes = (parameters as { binary_data_size?: unknown } | null | undefined)?.binary_data_size;
    const head = { name, datatype, shape: shape as number[] };
    return Number.isSafeInteger(bytes) && (bytes as number) >= 0
      ? { ...head, bytes: parts.take(bytes as number, name) }
      : { ...head, numbers: data };
  });
}

/** Codes of failures before a connection stood; both addresses of a name may have failed, each with its own. */
const NEVER_SENT = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

function neverSent(thrown: unknown): boolean {
  const { cause } = thrown as { cause?: { code?: string; errors?: { code?: string }[] } };
  const codes = [cause?.code, ...(cause?.errors ?? []).map((e) => e.code)].filter(
    (code) => code !== undefined,
  );
  return codes.length > 0 && codes.every((code) => NEVER_SENT.includes(code));
}
