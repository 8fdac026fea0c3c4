// Runs a whole model and its chain of segments side by side with onnxruntime-node, to show that they agree. For
// `isthmus split --verify`, tests and benchmarks; serving is the tail's business.
import * as ort from 'onnxruntime-node';
import type { TensorInfo } from '../manifest.ts';
import { concreteShape } from '../manifest.ts';
import { readableHalves } from './readableHalves.ts';

type Values = Record<string, ort.Tensor>;

const SESSION: ort.InferenceSession.SessionOptions = { intraOpNumThreads: 1, logSeverityLevel: 3 };

/** Loads (from bytes or a path), runs once and releases a model. */
export async function runModel(model: Uint8Array | string, feeds: Values): Promise<Values> {
  const session = await (typeof model === 'string'
    ? ort.InferenceSession.create(model, SESSION)
    : ort.InferenceSession.create(model, SESSION));
  try {
    const all = Object.entries({ ...unread(session), ...feeds });
    return (await session.run(
      Object.fromEntries(all.map(([name, t]) => [name, readableHalves(t)])),
    )) as Values;
  } finally {
    await session.release();
  }
}

/** Zeros for inputs: onnxruntime wants a value even for those that nothing in the model reads. */
function unread(session: ort.InferenceSession): Values {
  const zeros = session.inputMetadata.flatMap((input) => {
    if (!input.isTensor || input.type === 'string') return [];
    const dims = input.shape.map((d) => (typeof d === 'number' ? d : 1));
    const size = dims.reduce((a, b) => a * b, 1);
    const data = input.type === 'int64' ? new BigInt64Array(size) : new Array<number>(size).fill(0);
    return [[input.name, new ort.Tensor(input.type, data as never, dims)] as const];
  });
  return Object.fromEntries(zeros);
}

/** Feeds each segment with what the one before gave, and nothing else. */
export async function runChain(segments: Iterable<Uint8Array>, feeds: Values): Promise<Values> {
  let values = feeds;
  for (const segment of segments) values = await runModel(segment, values);
  return values;
}

/** Reproducible values in [-1, 1) (small whole numbers for integer types) for inputs, batch of one. */
export function randomFeeds(inputs: readonly TensorInfo[], seed = 1): Values {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const feed = (info: TensorInfo) => {
    const dims = concreteShape(info);
    const size = dims.reduce((a, b) => a * b, 1);
    const real = info.dtype.startsWith('float');
    const numbers = Array.from({ length: size }, () => (real ? next() : Math.abs(Math.trunc(next() * 2))));
    const data = info.dtype === 'int64' ? BigInt64Array.from(numbers, BigInt) : numbers;
    return new ort.Tensor(info.dtype, data as never, dims);
  };
  return Object.fromEntries(inputs.map((info) => [info.name, feed(info)]));
}

/** Largest |a - b| / largest |a|, the worst over all outputs; NaN where either is not finite. */
export function relativeDifference(whole: Values, chained: Values): number {
  let worst = 0;
  for (const [name, { data }] of Object.entries(whole)) {
    const a = Array.from(data as ArrayLike<number | bigint>, Number);
    const b = Array.from((chained[name]?.data ?? []) as ArrayLike<number | bigint>, Number);
    if (a.length !== b.length) return Number.POSITIVE_INFINITY;
    let largest = 0;
    let difference = 0;
    for (let i = 0; i < a.length; i++) {
      if (!Number.isFinite(a[i]! - b[i]!)) return Number.NaN;
      largest = Math.max(largest, Math.abs(a[i]!));
      difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    }
    worst = Math.max(worst, difference / (largest || 1));
  }
  return worst;
}
