// The inference service: one request frame (or picture) in, answers out, whatever it travelled by. Everything is checked
// in the order of its cost: frame, model, cut, shapes, and only then decoded and run. HTTP and links both stand on it.
import { countedBytes, type EncodedTensor } from '../../codec/params.ts';
import { IsthmusError } from '../../errors.ts';
import type { Tensors } from '../../tensor.ts';
import { type Frame, INPUT_CUT, MESSAGES_TYPE } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { TailContext } from '../context.ts';
import type { ServedModel } from '../models/registry.ts';
import type { EncodedTensors, InferOptions, ModelFiles } from '../run/backend.ts';
import { decodeInThread } from '../run/decodeInThread.ts';
import type { Answered, Emit } from './answer.ts';
import { type Branch, branchesOf } from './branches.ts';
import { namedError } from './errorFrame.ts';
import { inputTensors, type PictureInput, pictureSpec, type TailInput } from './inputTensors.ts';
import { ownMemory } from './ownMemory.ts';
import { runBranches } from './runBranches.ts';
import { ofRetired, versionOf } from './version.ts';
import { type Wishes, wishesOf } from './wishes.ts';

/** Who asks, how urgently, and until when. */
export interface Asked extends InferOptions {
  /** Whom the request belongs to: what a feature cache and limits are kept by. '' for anybody. */
  subject: string;
  /** Whether several answers can go back on the way that the request came by. Default: they can not. */
  several?: boolean;
}

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
  tail.threads.refuseWhenFull();
  const started = performance.now();
  const sent = readFrame(ownMemory(body), { frameBytes: tail.limits.frameBytes });
  const served = versionOf(tail, sent, model);
  tail.gate.allowsModel(asked.subject, served.manifest.name);
  const options = withDeadline(asked, sent.meta.deadlineMs);
  const wishes = wishesOf(sent);
  const branches = branchesOf(served, wishes.tasks, sent.cut);
  if (branches.length > 1 && !asked.several) throw oneAnswerOnly();
  const { frame, nameOf } = keeping(tail, sent, wishes, asked.subject);
  // A kept feature is copied out of the cache for this request, and one that is to be kept out of the body.
  const taken = wishes.featureId === undefined ? 0 : encodedBytes(frame);
  const copies = (branches.length - 1) * featureBytes(frame) + (wishes.keep ? body.byteLength : 0);
  const unpacked = unpackedBytes(frame) + copies + taken;
  tail.bodies.take(unpacked);
  try {
    const input = inputTensors(frame, served.manifest);
    const checking = performance.now() - started;
    const answer = (branch: Branch, { outputs, timings }: Inferred, left: number, error?: IsthmusError) => {
      const featureId = error ? undefined : nameOf();
      emit({
        manifest: branch.manifest,
        cut: frame.cut,
        outputs,
        spent: noted(tail, { ...timings, decode: checking + timings.decode }),
        more: left > 0,
        ...(wishes.named && { task: branch.name }),
        ...(featureId !== undefined && { featureId }),
        ...(error && { error }),
      });
    };
    const [branch] = branches;
    if (branches.length === 1 && branch)
      answer(branch, await inferOne(tail, branch.model, input, options), 0);
    else await inferSeveral(tail, served, branches, input, options, answer);
  } catch (thrown) {
    throw ofRetired(served, thrown);
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
  tail.threads.refuseWhenFull();
  const { manifest } = model;
  const spec = pictureSpec(manifest);
  const { outputs, timings } = await inferPicture(tail, model, { file, spec, prepared: false }, asked);
  emit({ manifest, cut: INPUT_CUT, outputs, spent: noted(tail, timings), more: false });
}

/** @throws IsthmusError CLOSED */
export function refuseWhenStopping(tail: TailContext): void {
  if (!tail.stopping) return;
  throw new IsthmusError('CLOSED', 'The tail is stopping. Send the request to another one, or again soon.');
}

interface Inferred {
  outputs: Tensors;
  timings: Answered['spent'];
}

function inferOne(
  tail: TailContext,
  model: ModelFiles,
  input: TailInput,
  options: InferOptions,
): Promise<Inferred> {
  return input.picture
    ? inferPicture(tail, model, input.picture, options)
    : inferTensors(tail, model, input.first, input.tensors, options);
}

/** The feature is decoded once, the branches share it. */
async function inferSeveral(
  tail: TailContext,
  served: ServedModel,
  branches: readonly Branch[],
  input: TailInput,
  options: InferOptions,
  answer: (branch: Branch, inferred: Inferred, left: number, error?: IsthmusError) => void,
): Promise<void> {
  const { backend, threads, log } = tail;
  const read = input.picture
    ? await readPicture(tail, input.picture, options)
    : await decodeInThread(threads, input.tensors, served.profiles, options);
  const decode = input.picture ? read.working : read.decoding;
  await runBranches(backend, served, input.first, read.outputs, branches, options, (result) => {
    const { branch, outputs, spent, left } = result;
    const timings = { decode, queue: read.queue + spent.queue, tail: spent.tail };
    const error = result.error && namedError(ofRetired(served, result.error), options.id, log);
    answer(branch, { outputs, timings }, left, error);
  });
}

/** Where the backend decodes, both happen in one thread, one after the other; else decoding has a thread of its own. */
async function inferTensors(
  { backend, threads }: TailContext,
  model: ModelFiles,
  first: number,
  tensors: EncodedTensors,
  options: InferOptions,
): Promise<Inferred> {
  if (backend.inferEncoded) {
    const { outputs, timings } = await backend.inferEncoded(model, first, tensors, options);
    return { outputs, timings: { ...timings, decode: timings.decode ?? 0 } };
  }
  const decoded = await decodeInThread(threads, tensors, model.profiles, options);
  const { outputs, timings } = await backend.infer(model, first, decoded.outputs, options);
  const { queue, decoding } = decoded;
  return { outputs, timings: { decode: decoding, queue: queue + timings.queue, tail: timings.tail } };
}

function readPicture({ threads, limits }: TailContext, picture: PictureInput, options: InferOptions) {
  return threads.run({ kind: 'picture', ...picture, maxPixels: limits.picturePixels }, options);
}

async function inferPicture(
  tail: TailContext,
  model: ModelFiles,
  picture: PictureInput,
  options: InferOptions,
): Promise<Inferred> {
  const read = await readPicture(tail, picture, options);
  const { outputs, timings } = await tail.backend.infer(model, 0, read.outputs, options);
  return {
    outputs,
    timings: { decode: read.working, queue: read.queue + timings.queue, tail: timings.tail },
  };
}

function noted({ metrics }: TailContext, spent: Answered['spent']): Answered['spent'] {
  for (const stage of ['decode', 'queue', 'tail'] as const) metrics.stage(stage, spent[stage]);
  return spent;
}

function oneAnswerOnly(): IsthmusError {
  return new IsthmusError(
    'REQUEST_INVALID',
    `Several tasks have several answers. Ask for them over a link, or over HTTP with \`Accept: ${MESSAGES_TYPE}\`.`,
  );
}

/**
 * The frame with the feature that it brings or names, and a function that gives the name under which it is kept; that
 * keeps it, so it is asked once there is an answer.
 * @throws IsthmusError FEATURE_GONE
 */
function keeping({ features }: TailContext, sent: Frame, wishes: Wishes, subject: string) {
  const { keep, featureId } = wishes;
  if (featureId !== undefined) {
    const frame: Frame = { ...sent, tensors: features.get(subject, featureId, sent) };
    return { frame, nameOf: () => (keep ? featureId : undefined) };
  }
  const copy = keep && features.open ? features.copy(sent) : undefined;
  let id: string | undefined;
  return { frame: sent, nameOf: () => (id ??= copy && features.put(subject, copy)) };
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
  const stay = ['raw', 'image'];
  return featureBytes({ tensors: tensors.filter((t) => !stay.includes(t.family)) });
}

/** Bytes of the feature as it came. */
function encodedBytes({ tensors }: Frame): number {
  return tensors.reduce((sum, t) => sum + t.params.byteLength + t.payload.byteLength, 0);
}

/** Bytes of the decoded feature. */
function featureBytes({ tensors }: Pick<Frame, 'tensors'>): number {
  const bytes = ({ family, dtype, shape }: EncodedTensor) =>
    shape.reduce((n, dim) => n * dim, countedBytes(family, dtype));
  return tensors.reduce((sum, t) => sum + bytes(t), 0);
}
