// The crossing: one frame to the tail and what comes back, with tasks and a kept feature where they were asked for. Sessions and
// kept features both go through here; it chooses nothing and writes no report.
import { IsthmusError } from '../errors.ts';
import { MAIN_TASK, type Manifest, modelTag, taskEnds } from '../model/manifest.ts';
import { topLabels } from '../model/topLabels.ts';
import type { Tensors } from '../tensor.ts';
import { type Answer, exchange } from '../transport/exchange.ts';
import { exchangeTasks, type TasksAnswered, type TaskWish } from '../transport/exchangeTasks.ts';
import type { SendOptions, Transport } from '../transport/transport.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import type { Sending } from './choose.ts';
import type { Result, TaskAnswer } from './resultTypes.ts';
import type { RunOptions } from './types.ts';

/** What is asked of the tail beside the frame. */
export interface Wish extends Pick<RunOptions, 'onTask'> {
  tasks: readonly string[] | undefined;
  keep: boolean;
}

/** Answers that come once the caller has given up are no longer told. */
export function wishOf(
  { tasks, keep }: Pick<Wish, 'tasks' | 'keep'>,
  { onTask }: Pick<RunOptions, 'onTask'>,
  signal: AbortSignal,
): Wish {
  const tell = onTask && ((answer: Parameters<typeof onTask>[0]) => void (signal.aborted || onTask(answer)));
  return { tasks, keep, ...(tell && { onTask: tell }) };
}

export interface Crossed extends Answer, Pick<Result, 'tasks' | 'failedTasks'> {
  /** Where the tail keeps the feature: its name there, and what to send when it does so no more. */
  kept?: { id: string; frame: Uint8Array };
}

export interface Crossing {
  transport: Transport;
  manifest: Manifest;
}

/** @throws as `exchange` and `exchangeTasks` */
export async function cross(
  { transport, manifest }: Crossing,
  frame: Uint8Array,
  wish: Wish,
  sending: Sending,
  signal: AbortSignal,
  onTrouble?: SendOptions['onTrouble'],
): Promise<Crossed> {
  const options = { ...sendOptions(sending, signal), ...(onTrouble && { onTrouble }) };
  if (!wish.tasks && !wish.keep) return exchange(transport, manifest, frame, options);
  const answered = await exchangeTasks(transport, manifest, frame, taskWish(manifest, wish), options);
  return crossed(manifest, wish, answered, frame);
}

/**
 * The same for a feature that the tail keeps: its name travels, and the feature itself only when the tail has forgotten it.
 * @throws as {@link cross}
 */
export async function crossAgain(
  crossing: Crossing,
  kept: { id: string; frame: Uint8Array },
  wish: Wish,
  sending: Sending,
  signal: AbortSignal,
): Promise<Crossed> {
  const { transport, manifest } = crossing;
  const { cut } = readFrame(kept.frame);
  const meta = { featureId: kept.id };
  const short = writeFrame({ kind: 'request', modelTag: modelTag(manifest), cut, meta, tensors: [] });
  try {
    const options = sendOptions(sending, signal);
    const answered = await exchangeTasks(transport, manifest, short, taskWish(manifest, wish), options);
    return crossed(manifest, wish, answered, kept.frame);
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'FEATURE_GONE') throw thrown;
    const again = await cross(crossing, kept.frame, wish, sending, signal);
    return { ...again, bytesUp: again.bytesUp + short.byteLength };
  }
}

const A_DAY_MS = 86_400_000;

function sendOptions({ urgency, expires = Infinity }: Sending, signal: AbortSignal): SendOptions {
  const left = expires - performance.now();
  return {
    signal,
    ...(urgency !== undefined && { urgency }),
    // Tails refuse deadlines of more than a day, as times of day by mistake; who waits longer has none.
    ...(left < A_DAY_MS && { deadlineMs: Math.max(1, left) }),
  };
}

function taskWish(manifest: Manifest, { tasks, keep, onTask }: Wish): TaskWish {
  return {
    tasks,
    keep,
    onTask: onTask && ((task, outputs) => onTask(taskAnswer(manifest, task, outputs))),
  };
}

function taskAnswer(manifest: Manifest, task: string, outputs: Tensors): TaskAnswer {
  const labels = topLabels(taskEnds(manifest, task) ?? {}, outputs);
  return { task, outputs, ...(labels && { labels }) };
}

function crossed(
  manifest: Manifest,
  wish: Wish,
  { tasks, failed, featureId, ...answer }: TasksAnswered,
  frame: Uint8Array,
): Crossed {
  const named = [...tasks].map(([name, outputs]) => [name, taskAnswer(manifest, name, outputs)] as const);
  return {
    ...answer,
    ...(wish.tasks && { tasks: Object.fromEntries(named) }),
    ...(failed.size > 0 && { failedTasks: Object.fromEntries(failed) }),
    ...(featureId !== undefined && { kept: { id: featureId, frame } }),
  };
}

/** What running everything here answers of a wish: `main`, and why not the others. */
export function atHome(
  manifest: Manifest,
  tasks: readonly string[] | undefined,
  outputs: Tensors,
  reason: IsthmusError | undefined,
): Pick<Result, 'tasks' | 'failedTasks'> {
  if (!tasks) return {};
  const others = tasks.filter((name) => name !== MAIN_TASK);
  const why = reason ?? new IsthmusError('OPTION_INVALID', 'Tasks run at the tail; this ran here.');
  return {
    tasks: { [MAIN_TASK]: taskAnswer(manifest, MAIN_TASK, outputs) },
    ...(others.length > 0 && { failedTasks: Object.fromEntries(others.map((name) => [name, why])) }),
  };
}
