// Answers of the Open Inference Protocol over HTTP: outputs as JSON, or as binary tensors behind it. Errors are
// replyOipError.ts.
import { promisify } from 'node:util';
import { deflate, gzip } from 'node:zlib';
import { IsthmusError } from '../../errors.ts';
import { tensorBytes } from '../../tensor.ts';
import { BytesResponse } from '../http/bytesResponse.ts';
import { serverTiming } from '../infer/reply.ts';
import { joinBody, LENGTH_HEADER } from './binaryBody.ts';
import { datatypeOf, toNumbers } from './datatypes.ts';
import type { OipAnswer } from './inferOip.ts';
import type { RestRequest } from './restRequest.ts';
import type { Target } from './targets.ts';

/** Numbers are for reading; more of them than this belong into binary data. */
const MAX_JSON_NUMBERS = 1 << 20;

/** Shorter answers do not gain from compression. */
const WORTH_COMPRESSING = 1024;

/** @throws IsthmusError REQUEST_INVALID for outputs that JSON cannot hold */
export async function restReply(
  target: Target,
  { id, binary, parameters }: RestRequest,
  { outputs, spent }: OipAnswer,
  acceptEncoding: string | undefined,
): Promise<Response> {
  const started = performance.now();
  const parts: Uint8Array[] = [];
  const written = outputs.map(({ name, tensor }) => {
    const head = { name, shape: tensor.shape, datatype: datatypeOf(tensor.dtype) };
    if (binary(name)) {
      const bytes = tensorBytes(tensor);
      parts.push(bytes);
      return { ...head, parameters: { binary_data_size: bytes.length } };
    }
    if (tensor.data.length > MAX_JSON_NUMBERS) {
      throw new IsthmusError(
        'REQUEST_INVALID',
        `The output '${name}' has ${tensor.data.length} elements, too many for JSON. Ask for it with \`binary_data: true\`.`,
      );
    }
    return { ...head, data: toNumbers(tensor, name) };
  });
  const json = {
    model_name: target.name,
    model_version: target.version,
    ...(id !== '' && { id }),
    ...(parameters.finalResponse && { parameters: { triton_final_response: true } }),
    outputs: written,
  };
  const { body, jsonBytes } = joinBody(json, parts);
  const headers = new Headers({
    'content-type': parts.length > 0 ? 'application/octet-stream' : 'application/json',
    'cache-control': 'no-store',
    vary: 'accept-encoding',
  });
  if (parts.length > 0) headers.set(LENGTH_HEADER, String(jsonBytes));
  // Tensors of floats hardly shrink, text of numbers does.
  const encoding = parts.length > 0 || body.length < WORTH_COMPRESSING ? undefined : accepted(acceptEncoding);
  const sent = encoding ? await COMPRESS[encoding](body) : body;
  if (encoding) headers.set('content-encoding', encoding);
  headers.set('server-timing', serverTiming({ ...spent, encode: performance.now() - started }));
  return new BytesResponse(new Uint8Array(sent), { headers });
}

const COMPRESS = {
  gzip: promisify<Uint8Array, Buffer>(gzip),
  deflate: promisify<Uint8Array, Buffer>(deflate),
};

/** RFC 9110, 12.5.3; `;q=0` excludes. */
function accepted(header = ''): keyof typeof COMPRESS | undefined {
  const allowed = header
    .toLowerCase()
    .split(',')
    .filter((part) => !/;\s*q=0(\.0*)?\s*$/.test(part))
    .map((part) => part.split(';')[0]!.trim());
  return (['gzip', 'deflate'] as const).find((encoding) => allowed.includes(encoding));
}
