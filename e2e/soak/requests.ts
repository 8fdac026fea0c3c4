// Requests for the soak: valid frames of the embedded model, and one way to send and time them.
import { type Agent, request } from 'node:http';
import { encode } from '../../src/codec/index.ts';
import { concreteShape, type Manifest, modelTag } from '../../src/model/manifest.ts';
import { FRAME_TYPE } from '../../src/wire/layout.ts';
import { writeFrame } from '../../src/wire/writeFrame.ts';
import { seeded } from '../faults/link.ts';

/** A request frame at the cut of that name, with a feature that is half zeros, as after a ReLU. */
export function featureFrame(manifest: Manifest, cut: string, seed = 1): Uint8Array<ArrayBuffer> {
  const index = manifest.cuts.findIndex((c) => c.name === cut);
  const random = seeded(seed);
  const tensors = manifest.cuts[index]!.tensors.map((info) => {
    const shape = concreteShape(info);
    const data = Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () =>
      Math.max(0, random() * 4 - 2),
    );
    return encode({ dtype: 'float32', shape, data }, 'slicer');
  });
  return writeFrame({ kind: 'request', modelTag: modelTag(manifest), cut: index, meta: {}, tensors });
}

export interface Outcome {
  /** 0 where no answer came. */
  status: number;
  ms: number;
  retryAfter: string | undefined;
}

/** One request over a kept-alive connection; failures are outcomes, not errors. */
export function send(
  agent: Agent,
  port: number,
  options: { method?: string; path: string; headers?: Record<string, string>; body?: Uint8Array | string },
): Promise<Outcome> {
  const began = performance.now();
  const { method = 'GET', path, headers = {}, body } = options;
  return new Promise((resolve) => {
    const end = (status: number, retryAfter?: string) =>
      resolve({ status, ms: performance.now() - began, retryAfter });
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const sent = request(
      { agent, port, host: '127.0.0.1', method, path, headers: { ...length, ...headers } },
      (response) => {
        response.resume();
        response.on('end', () => end(response.statusCode!, response.headers['retry-after']));
        response.on('error', () => end(0));
      },
    );
    sent.on('error', () => end(0));
    sent.end(body);
  });
}

export const infer = (agent: Agent, port: number, frame: Uint8Array, name = 'neck10') =>
  send(agent, port, {
    method: 'POST',
    path: `/models/${name}/infer`,
    headers: { 'content-type': FRAME_TYPE },
    body: frame,
  });

/** @param share 0…1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Runs `work` for 0…count-1, `width` at a time. */
export async function eachOf(
  count: number,
  width: number,
  work: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
