// What a worker thread does with a run: decodes each item, stacks those that are still wanted, runs the segments, takes
// the outputs apart. An item that cannot be decoded or that fails alone takes no other down with it.
import { type InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { decodeTensor } from '../../codec/cpu/decode.ts';
import type { CodecProfile } from '../../codec/profile.ts';
import { IsthmusError } from '../../errors.ts';
import { readableHalves } from '../../model/node/readableHalves.ts';
import type { DType, Tensor, TensorData, Tensors } from '../../tensor.ts';
import { expiredError } from './poolErrors.ts';
import { nearlyEqual, reversed, rowsOf, stack, unstack } from './stack.ts';
import type { ItemReply, JobTensors, RunWork, SegmentFile, ThreadReply } from './threadMessages.ts';

/** What a run needs of its thread. */
export interface RunTools {
  session(segment: SegmentFile): Promise<InferenceSession>;
  profile(name: string): CodecProfile | undefined;
  /** One int32 per item. */
  cancelled: Int32Array;
}

interface Chain extends Pick<RunWork, 'segments' | 'outputs'> {
  /** Whether nobody waits any more. */
  abandoned(): boolean;
}

class Abandoned extends Error {}

/** @returns replies in the order of the items; never throws for what an item or a segment does */
export async function runItems(work: RunWork, tools: RunTools): Promise<ThreadReply> {
  const { items, segments, outputs } = work;
  const replies: (ItemReply | undefined)[] = items.map((_, i) => outcome(work, tools.cancelled, i));
  const clock = { loading: 0, decoding: 0, working: 0 };
  const started = performance.now();
  const live: { index: number; tensors: Tensors }[] = [];
  for (const [index, { tensors }] of items.entries()) {
    if (replies[index]) continue;
    try {
      live.push({ index, tensors: decodeTensors(tensors, tools.profile) });
    } catch (thrown) {
      replies[index] = failed(thrown, 'INTERNAL', 'The feature could not be decoded.');
    }
  }
  clock.decoding = performance.now() - started;

  const run = (indices: readonly number[], tensors: Tensors) => {
    const abandoned = () => indices.every((i) => outcome(work, tools.cancelled, i) !== undefined);
    return runChain({ segments, outputs, abandoned }, tensors, tools, clock);
  };
  const alone = async () => {
    for (const { index, tensors } of live) {
      replies[index] = await run([index], tensors).then(
        (result): ItemReply => ({ outputs: result }),
        (thrown) => outcome(work, tools.cancelled, index) ?? failed(thrown, ...NOT_RUN),
      );
    }
  };
  let together: boolean | undefined;
  if (live.length < 2 || work.probe) await alone();
  else {
    const rows = live.map(({ tensors }) => rowsOf(tensors) ?? 1);
    const indices = live.map(({ index }) => index);
    try {
      const result = await run(indices, stack(live.map(({ tensors }) => tensors)));
      for (const [i, part] of unstack(result, rows).entries()) replies[indices[i]!] = { outputs: part };
    } catch {
      await alone(); // one of them may be what the model cannot take; each finds out for itself
    }
  }
  const { working } = clock; // what the probe costs is no measure of these items
  if (work.probe) together = await probe(live, replies, run);
  return { ...clock, working, items: replies.map((reply) => reply ?? { cancelled: true }), together };
}

const NOT_RUN = ['INFERENCE_FAILED', 'onnxruntime could not run the tail.'] as const;

/** Why an item need not be run, if it need not. */
function outcome({ items }: RunWork, cancelled: Int32Array, index: number): ItemReply | undefined {
  if (Atomics.load(cancelled, index) !== 0) return { cancelled: true };
  const deadline = items[index]?.deadline;
  return deadline !== undefined && deadline <= Date.now() ? { error: expiredError().toJSON() } : undefined;
}

/**
 * Runs the first item beside another one and alone. Neither a name in a shape nor a run that succeeds says that the first
 * dimension is a batch: a model may well mix what stands there.
 */
async function probe(
  live: readonly { index: number; tensors: Tensors }[],
  replies: readonly (ItemReply | undefined)[],
  run: (indices: readonly number[], tensors: Tensors) => Promise<Tensors>,
): Promise<boolean | undefined> {
  const item = live.find(({ index }) => {
    const reply = replies[index];
    return reply !== undefined && 'outputs' in reply;
  });
  const reply = item && replies[item.index];
  if (!reply || !('outputs' in reply)) return undefined;
  const rows = rowsOf(item.tensors);
  if (rows === undefined) return false;
  const other = reversed(item.tensors);
  try {
    const second = await run([item.index], other);
    if (nearlyEqual(reply.outputs, second)) return undefined; // two equal items cannot show that they do not mix
    const both = unstack(await run([item.index], stack([item.tensors, other])), [rows, rows]);
    return nearlyEqual(reply.outputs, both[0]!) && nearlyEqual(second, both[1]!);
  } catch (thrown) {
    return thrown instanceof Abandoned ? undefined : false;
  }
}

async function runChain(
  { segments, outputs, abandoned }: Chain,
  tensors: Tensors,
  tools: RunTools,
  clock: { loading: number; working: number },
): Promise<Tensors> {
  // Outputs of every segment stay at hand by name: a tensor may cross several cuts before it is read.
  const values = new Map(Object.entries(tensors).map(([name, t]) => [name, toOrt(t)]));
  for (const segment of segments) {
    if (abandoned()) throw new Abandoned();
    const begun = performance.now();
    const session = await tools.session(segment);
    const loaded = performance.now();
    clock.loading += loaded - begun;
    const feeds = Object.fromEntries(
      session.inputNames.map((name) => [name, readableHalves(need(values, name))]),
    );
    for (const [name, value] of Object.entries(await session.run(feeds)))
      values.set(name, value as OrtTensor);
    clock.working += performance.now() - loaded;
  }
  return Object.fromEntries(outputs.map((name) => [name, fromOrt(need(values, name))]));
}

/** @throws IsthmusError FRAME_INVALID, CODEC_INVALID, TOO_LARGE */
export function decodeTensors(
  tensors: JobTensors,
  profiles: (name: string) => CodecProfile | undefined,
): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => [name, 'family' in t ? decodeTensor(t, { profiles }) : t]),
  );
}

export function failed(thrown: unknown, code: IsthmusError['code'], sentence: string): ItemReply {
  return { error: IsthmusError.from(thrown, code, sentence).toJSON() };
}

function need(values: Map<string, OrtTensor>, name: string): OrtTensor {
  const value = values.get(name);
  if (!value) throw new Error(`no segment computes '${name}'`);
  return value;
}

function toOrt({ dtype, data, shape }: Tensor): OrtTensor {
  return new OrtTensor(dtype as 'float32', data as Float32Array, [...shape]);
}

/** float16 comes as Float16Array where the platform has one; we keep bit patterns. */
function fromOrt({ type, dims, data }: OrtTensor): Tensor {
  const typed = data as TensorData;
  const bits = type === 'float16' ? new Uint16Array(typed.buffer, typed.byteOffset, typed.length) : typed;
  return { dtype: type as DType, shape: [...dims], data: bits };
}
