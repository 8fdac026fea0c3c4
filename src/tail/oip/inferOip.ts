// One request of the Open Inference Protocol, already read from JSON or protobuf, to its answer: dense tensors go to the
// backend, a frame goes the way of all frames. It knows neither HTTP nor gRPC.
import { IsthmusError } from '../../errors.ts';
import { type Tensor, type Tensors, tensorBytes } from '../../tensor.ts';
import type { TailContext } from '../context.ts';
import { type Answered, answerBytes } from '../infer/answer.ts';
import type { TailTimings } from '../infer/reply.ts';
import { type Asked, answerFrame, refuseWhenStopping } from '../infer/service.ts';
import { FRAME_INPUT, REPLY_OUTPUT, type Target } from './targets.ts';

export interface OipRequest {
  target: Target;
  /** Names, dtypes and shapes are those of `target.inputs`; the data may move to a thread and be gone afterwards. */
  inputs: Tensors;
  /** Names of outputs; empty for the usual ones. */
  outputs: readonly string[];
}

export interface OipAnswer {
  /** In the order they were asked for. */
  outputs: readonly { name: string; tensor: Tensor }[];
  spent: Omit<TailTimings, 'encode'>;
}

/**
 * @throws IsthmusError INPUT_INVALID (no such output), CLOSED, OVERLOADED, DEADLINE_EXCEEDED, INFERENCE_FAILED, for
 *   frames what answerFrame throws; AbortError
 */
export async function inferOip(tail: TailContext, request: OipRequest, asked: Asked): Promise<OipAnswer> {
  refuseWhenStopping(tail);
  const names = outputNames(request);
  const { outputs, spent } =
    request.target.first === undefined
      ? await runFrame(tail, request, names, asked)
      : await runDense(tail, request, request.target.first, asked);
  return { outputs: names.map((name) => ({ name, tensor: need(outputs, name, request.target) })), spent };
}

/** The outputs to give. @throws IsthmusError INPUT_INVALID */
function outputNames({ target, outputs }: OipRequest): readonly string[] {
  if (outputs.length === 0) return target.usual;
  const there = target.outputs.map((t) => t.name);
  const wrong = outputs.find((name, i) => !there.includes(name) || outputs.indexOf(name) !== i);
  if (wrong === undefined) return outputs;
  throw new IsthmusError(
    'INPUT_INVALID',
    `'${target.name}' has no output '${wrong.slice(0, 64)}', or it was named twice. Its outputs: ${there.join(', ')}.`,
  );
}

async function runDense(
  tail: TailContext,
  { target, inputs }: OipRequest,
  first: number,
  asked: Asked,
): Promise<{ outputs: Tensors; spent: OipAnswer['spent'] }> {
  const { outputs, timings } = await tail.backend.infer(target.model, first, inputs, asked);
  tail.metrics.stage('queue', timings.queue);
  tail.metrics.stage('tail', timings.tail);
  return { outputs, spent: { decode: 0, ...timings } };
}

async function runFrame(
  tail: TailContext,
  { target, inputs }: OipRequest,
  names: readonly string[],
  asked: Asked,
): Promise<{ outputs: Tensors; spent: OipAnswer['spent'] }> {
  let answer: Answered | undefined;
  await answerFrame(tail, tensorBytes(inputs[FRAME_INPUT]!), target.model, asked, (answered) => {
    answer = answered;
  });
  const { outputs, spent, error } = answer!;
  if (error) throw error;
  if (!names.includes(REPLY_OUTPUT)) return { outputs, spent };
  const data = answerBytes(answer!);
  return { outputs: { ...outputs, [REPLY_OUTPUT]: { dtype: 'uint8', shape: [data.length], data } }, spent };
}

function need(outputs: Tensors, name: string, { first }: Target): Tensor {
  const tensor = outputs[name];
  if (tensor) return tensor;
  throw new IsthmusError(
    first === undefined ? 'INPUT_INVALID' : 'INFERENCE_FAILED',
    first === undefined
      ? `The task that the frame names gives no '${name}'. Ask for '${REPLY_OUTPUT}', which has its outputs.`
      : `The model gives no '${name}', which its manifest promises. Its operator splits it anew.`,
  );
}
