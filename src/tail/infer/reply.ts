// The two shapes of an answer: a reply frame with the raw outputs in the manifest's order, or JSON for people with
// curl. Times of the stages go into both and into Server-Timing.
import type { EncodedTensor } from '../../codec/params.ts';
import { IsthmusError } from '../../errors.ts';
import { type Manifest, modelTag } from '../../model/manifest.ts';
import { fromHalf, topLabels } from '../../model/topLabels.ts';
import { type Tensor, type Tensors, tensorBytes } from '../../tensor.ts';
import { FRAME_TYPE, type FrameMeta } from '../../wire/layout.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import { BytesResponse } from '../http/bytesResponse.ts';

/** Milliseconds on this server: reading and decoding, waiting for a thread, running, preparing the answer. */
export interface TailTimings {
  decode: number;
  queue: number;
  tail: number;
  encode: number;
}

/** Numbers are for reading; more of them than this belong into a frame. */
const MAX_JSON_NUMBERS = 1 << 20;

/** A reply frame. @throws IsthmusError INFERENCE_FAILED when the model does not give what its manifest promises. */
export function replyFrame(
  manifest: Manifest,
  cut: number,
  outputs: Tensors,
  spent: Omit<TailTimings, 'encode'>,
  meta: FrameMeta = {},
): Uint8Array<ArrayBuffer> {
  const started = performance.now();
  const tensors = manifest.outputs.map(({ name, dtype }) => raw(outputs, name, dtype));
  // The frame cannot hold the time of its own writing; Server-Timing, where it is sent beside it, does.
  const timings = rounded({ ...spent, encode: performance.now() - started });
  return writeFrame({
    kind: 'reply',
    modelTag: modelTag(manifest),
    cut,
    meta: { ...meta, timings },
    tensors,
  });
}

/** The same as an HTTP answer. @throws as {@link replyFrame} */
export function frameReply(
  manifest: Manifest,
  cut: number,
  outputs: Tensors,
  spent: Omit<TailTimings, 'encode'>,
  meta: FrameMeta = {},
): Response {
  const started = performance.now();
  const frame = replyFrame(manifest, cut, outputs, spent, meta);
  return new BytesResponse(frame, {
    headers: {
      'content-type': FRAME_TYPE,
      'server-timing': serverTiming({ ...spent, encode: performance.now() - started }),
    },
  });
}

/** @throws IsthmusError REQUEST_INVALID when the outputs are too large to be read as JSON. */
export function jsonReply(
  manifest: Manifest,
  outputs: Tensors,
  spent: Omit<TailTimings, 'encode'>,
): Response {
  const started = performance.now();
  const labels = topLabels(manifest, outputs);
  const body = {
    model: { name: manifest.name, id: manifest.id },
    ...(labels ? { labels } : { outputs: readable(outputs) }),
    timings: rounded({ ...spent, encode: performance.now() - started }),
  };
  const json = Buffer.from(JSON.stringify(body));
  return new BytesResponse(json, {
    headers: {
      'content-type': 'application/json',
      'server-timing': serverTiming({ ...spent, encode: performance.now() - started }),
    },
  });
}

function raw(outputs: Tensors, name: string, dtype: string): EncodedTensor {
  const tensor = outputs[name];
  if (tensor?.dtype !== dtype) {
    throw new IsthmusError(
      'INFERENCE_FAILED',
      `The model gives ${tensor?.dtype ?? 'nothing'} for '${name}', its manifest promises ${dtype}. Split it anew.`,
    );
  }
  const { shape } = tensor;
  return {
    family: 'raw',
    dtype: tensor.dtype,
    shape,
    flags: 0,
    params: new Uint8Array(0),
    payload: tensorBytes(tensor),
  };
}

function readable(outputs: Tensors): Record<string, object> {
  const count = Object.values(outputs).reduce((sum, t) => sum + t.data.length, 0);
  if (count > MAX_JSON_NUMBERS) {
    throw new IsthmusError(
      'REQUEST_INVALID',
      `The outputs are ${count} numbers, too many for JSON. Ask for a frame: \`Accept: ${FRAME_TYPE}\`.`,
    );
  }
  // int64 may pass 2^53, so it is written as text.
  const number = (dtype: Tensor['dtype'], x: number | bigint) =>
    dtype === 'int64' ? String(x) : dtype === 'float16' ? fromHalf(Number(x)) : Number(x);
  const numbers = ({ dtype, data }: Tensor) =>
    Array.from(data as ArrayLike<number | bigint>, (x) => number(dtype, x));
  return Object.fromEntries(
    Object.entries(outputs).map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape, data: numbers(t) }]),
  );
}

const round = (ms: number) => Math.round(ms * 1000) / 1000;

function rounded(timings: TailTimings): Record<string, number> {
  return Object.fromEntries(Object.entries(timings).map(([stage, ms]) => [stage, round(ms)]));
}

/** https://www.w3.org/TR/server-timing/: readable in any browser's network panel. */
export function serverTiming(timings: TailTimings): string {
  return Object.entries(timings)
    .map(([stage, ms]) => `${stage};dur=${round(ms)}`)
    .join(', ');
}
