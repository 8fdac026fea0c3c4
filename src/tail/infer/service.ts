// The inference service: one request frame (or picture) in, answers out, whatever it travelled by. Everything is checked
// in the order of its cost: frame, model, cut, shapes, and only then decoded and run. HTTP and links both stand on it.
import { countedBytes, type EncodedTensor } from '../../codec/params.ts';
import { IsthmusError } from '../../errors.ts';
import { type Manifest, modelTag } from '../../model/manifest.ts';
import type { Tensors } from '../../tensor.ts';
import { type Frame, INPUT_CUT } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { TailContext } from '../context.ts';
import type { ServedModel } from '../models/registry.ts';
import type { InferOptions } from '../run/backend.ts';
import { inputTensors, type PictureReader, pictureSpec } from './inputTensors.ts';
import type { TailTimings } from './reply.ts';

/** Who asks, how urgently, and until when. */
export interface Asked extends InferOptions {
  /** Whom the request belongs to: what a feature cache and limits are kept by. '' for anybody. */
  subject: string;
}

export interface Answered {
  manifest: Manifest;
  /** Index of the request's cut, or INPUT_CUT. */
  cut: number;
  outputs: Tensors;
  spent: Omit<TailTimings, 'encode'>;
  /** Others for the same request follow. */
  more: boolean;
}

/** Takes each answer as it is ready. */
export type Emit = (answer: Answered) => void;

/**
 * Answers one request frame.
 *
 * @param body the frame; it may move to a thread and be empty afterwards. Its own bytes are the caller's to account for.
 * @param model where the address named one; else the frame's model tag finds it
 * @throws IsthmusError before the first answer: what readFrame and inputTensors throw, MODEL_MISMATCH, CLOSED, OVERLOADED,
 *   DEADLINE_EXCEEDED, INFERENCE_FAILED; AbortError
 */
export async function answerFrame(
  tail: TailContext,
  body: Uint8Array,
  model: ServedModel | undefined,
  asked: Asked,
  emit: Emit,
): Promise<void> {
  refuseWhenStopping(tail);
  const started = performance.now();
  const frame = readFrame(body, { frameBytes: tail.limits.frameBytes });
  const served = model ?? modelOf(tail, frame);
  const options = withDeadline(asked, frame.meta.deadlineMs);
  const unpacked = unpackedBytes(frame);
  tail.bodies.take(unpacked);
  try {
    let waited = 0;
    const readPicture: PictureReader = async (file, spec, prepared) => {
      const { outputs, queue } = await runPicture(tail, file, spec, prepared, options);
      waited = queue;
      return outputs;
    };
    const { manifest, profiles } = served;
    const { first, tensors } = await inputTensors(frame, manifest, readPicture, profiles);
    const decode = performance.now() - started - waited;
    const { outputs, timings } = await tail.backend.infer(served, first, tensors, options);
    const spent = { decode, queue: waited + timings.queue, tail: timings.tail };
    emit({ manifest, cut: frame.cut, outputs, spent, more: false });
  } finally {
    tail.bodies.give(unpacked);
  }
}

/** Answers a picture that came as it is. @throws as {@link answerFrame}, IMAGE_INVALID, IMAGE_TOO_LARGE, INPUT_INVALID */
export async function answerPicture(
  tail: TailContext,
  file: Uint8Array,
  model: ServedModel,
  asked: Asked,
  emit: Emit,
): Promise<void> {
  refuseWhenStopping(tail);
  const started = performance.now();
  const picture = await runPicture(tail, file, pictureSpec(model.manifest), false, asked);
  const decode = performance.now() - started - picture.queue;
  const { outputs, timings } = await tail.backend.infer(model, 0, picture.outputs, asked);
  const spent = { decode, queue: picture.queue + timings.queue, tail: timings.tail };
  emit({ manifest: model.manifest, cut: INPUT_CUT, outputs, spent, more: false });
}

/** @throws IsthmusError CLOSED */
export function refuseWhenStopping(tail: TailContext): void {
  if (!tail.stopping) return;
  throw new IsthmusError('CLOSED', 'The tail is stopping. Send the request to another one, or again soon.');
}

function runPicture(
  tail: TailContext,
  file: Uint8Array,
  spec: ReturnType<typeof pictureSpec>,
  prepared: boolean,
  options: InferOptions,
) {
  const maxPixels = tail.limits.picturePixels;
  return tail.threads.run({ kind: 'picture', file, spec, maxPixels, prepared }, options);
}

function modelOf({ registry }: TailContext, { modelTag: tag }: Frame): ServedModel {
  for (const model of registry.models.values()) if (modelTag(model.manifest) === tag) return model;
  const there = [...registry.models.values()].map((m) => `${m.manifest.name} (${modelTag(m.manifest)})`);
  throw new IsthmusError(
    'MODEL_MISMATCH',
    `The frame was made for model ${tag}, which this tail does not have. It has: ${there.join(', ')}. Fetch the manifest again.`,
  );
}

/** `deadlineMs` in a request's meta says the same as the envelope around it; the earlier one holds. */
function withDeadline(asked: Asked, value: unknown): Asked {
  if (value === undefined) return asked;
  if (typeof value !== 'number' || !(value > 0))
    throw new IsthmusError('FRAME_INVALID', 'meta.deadlineMs must be a number of milliseconds above 0.');
  return { ...asked, deadline: Math.min(asked.deadline ?? Number.POSITIVE_INFINITY, Date.now() + value) };
}

/**
 * Bytes that decoding will allocate, at most 64 MiB a frame. A constant of that size is a frame of a hundred bytes, and
 * many may wait for a thread. Raw tensors stay where they are, in the body.
 */
function unpackedBytes({ tensors }: Frame): number {
  const bytes = ({ family, dtype, shape }: EncodedTensor) =>
    shape.reduce((n, dim) => n * dim, countedBytes(family, dtype));
  const stay = ['raw', 'image'];
  return tensors.filter((t) => !stay.includes(t.family)).reduce((sum, t) => sum + bytes(t), 0);
}
