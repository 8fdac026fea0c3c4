// Requests of the Open Inference Protocol over HTTP, for the tests of this folder. Not part of the published package.
import * as v from 'valibot';
import { expect } from 'vitest';
import { wave } from '../testModels.fixture.ts';
import { inferenceErrorResponse } from './oipSchema.fixture.ts';

export const bytesOf = (data: Float32Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Posts JSON (as an object or as bytes), tensors behind it, and no content type unless a test gives one. */
export async function postOip(
  url: string,
  model: string,
  json: object | Uint8Array,
  parts: Uint8Array[] = [],
  headers: Record<string, string> = {},
): Promise<{ response: Response; json: Record<string, unknown>; rest: Uint8Array }> {
  const top = json instanceof Uint8Array ? json : Buffer.from(JSON.stringify(json));
  const length: Record<string, string> =
    parts.length > 0 ? { 'Inference-Header-Content-Length': String(top.length) } : {};
  const response = await fetch(`${url}/v2/models/${encodeURIComponent(model)}/infer`, {
    method: 'POST',
    headers: { ...length, ...headers },
    body: new Blob([new Uint8Array(top), ...parts.map((p) => new Uint8Array(p))]),
  });
  const body = new Uint8Array(await response.arrayBuffer());
  const size = Number(response.headers.get('inference-header-content-length') ?? body.length);
  const text = Buffer.from(body.subarray(0, size)).toString();
  return { response, json: JSON.parse(text) as Record<string, unknown>, rest: body.subarray(size) };
}

/** The error's text, after its form has been checked. */
export async function refused(status: number, answer: ReturnType<typeof postOip>): Promise<string> {
  const { response, json } = await answer;
  expect([response.status, json]).toEqual([status, expect.anything()]);
  return v.parse(inferenceErrorResponse, json).error;
}

export const x = (extra: object = {}, batch = 1) => ({
  name: 'x',
  shape: [batch, 3, 8, 8],
  datatype: 'FP32',
  ...extra,
});
export const numbers = (count = 192) => [...wave(count)];
