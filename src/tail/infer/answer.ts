// One answer to one task of a request, and how it becomes a frame. Every way into the tail (HTTP, links) writes its answers
// here, so that a client finds the same keys whatever it came by. It computes nothing.
import { IsthmusError } from '../../errors.ts';
import { type Manifest, modelTag } from '../../model/manifest.ts';
import type { Tensors } from '../../tensor.ts';
import type { FrameMeta } from '../../wire/layout.ts';
import { errorFrame } from './errorFrame.ts';
import { replyFrame, type TailTimings } from './reply.ts';

export interface Answered {
  /** Of the model; where another task than `main` was asked, with the outputs and labels of that task. */
  manifest: Manifest;
  /** Index of the request's cut, or INPUT_CUT. */
  cut: number;
  outputs: Tensors;
  spent: Omit<TailTimings, 'encode'>;
  /** Others for the same request follow. */
  more: boolean;
  /** Which task this answers, where the request named any. */
  task?: string;
  /** Under this name the feature is kept for a while. */
  featureId?: string;
  /** Why this task has no answer, where others of the same request may have one; there are no outputs then. */
  error?: IsthmusError;
}

/** Takes each answer as it is ready. */
export type Emit = (answer: Answered) => void;

/** What the meta of a reply says of its task. */
export function answerMeta({ task, featureId }: Answered): FrameMeta {
  return { ...(task !== undefined && { task }), ...(featureId !== undefined && { featureId }) };
}

/**
 * The frame of an answer: a reply, or an error that names its task.
 * @throws IsthmusError INFERENCE_FAILED when the model does not give what its manifest promises, and no task was named
 */
export function answerBytes(answer: Answered): Uint8Array<ArrayBuffer> {
  const { manifest, cut, outputs, spent, task, error } = answer;
  const meta = answerMeta(answer);
  if (error) return errorFrame(error, modelTag(manifest), cut, meta);
  try {
    return replyFrame(manifest, cut, outputs, spent, meta);
  } catch (thrown) {
    if (task === undefined || !(thrown instanceof IsthmusError)) throw thrown;
    return errorFrame(thrown, modelTag(manifest), cut, meta); // the other tasks of the request go on
  }
}
