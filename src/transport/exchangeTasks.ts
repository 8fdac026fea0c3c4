// One request answered by several tasks: sends a frame, reads the replies as they come, and tells whose they are. Like exchange.ts
// it resends once when bytes were damaged on the way or a tail was just stopping.
import { IsthmusError } from '../errors.ts';
import { MAIN_TASK, type Manifest, taskEnds } from '../model/manifest.ts';
import type { Tensors } from '../tensor.ts';
import type { Frame } from '../wire/layout.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { type Answer, replyTensors, replyTimings, unexpected, worthAgain } from './exchange.ts';
import type { SendOptions, Transport } from './transport.ts';

/** What a request asks for beyond the answer of the model itself. */
export interface TaskWish {
  /** Undefined: the model's own, without naming it. */
  tasks: readonly string[] | undefined;
  keep: boolean;
  /** Told of each task once, in the order in which they are answered. */
  onTask?: ((task: string, outputs: Tensors) => void) | undefined;
}

/** `outputs` are those of `main`, where it is among the tasks. */
export interface TasksAnswered extends Answer {
  /** In the order in which they were answered. */
  tasks: Map<string, Tensors>;
  failed: Map<string, IsthmusError>;
  featureId: string | undefined;
}

/** The same request with a wish in its meta. */
function withWish(request: Uint8Array, { tasks, keep }: TaskWish): Uint8Array {
  const frame = readFrame(request);
  const meta = { ...frame.meta, ...(tasks && { tasks: [...tasks] }), ...(keep && { keep }) };
  return writeFrame({ ...frame, meta });
}

/**
 * @param request a request frame; the wish is written into it
 * @throws as `exchange`; where every task failed, the error of the first
 */
export async function exchangeTasks(
  transport: Transport,
  manifest: Manifest,
  request: Uint8Array,
  wish: TaskWish,
  options: SendOptions = {},
): Promise<TasksAnswered> {
  const frame = withWish(request, wish);
  const replies = new Replies(manifest, wish);
  let bytesUp = 0;
  let bytesDown = 0;
  for (let attempt = 0; ; attempt++) {
    bytesUp += frame.byteLength;
    try {
      const delivery = await transport.send(frame, {
        ...options,
        onReply: (reply) => replies.takeEarly(reply),
      });
      bytesUp += delivery.bytesUp - frame.byteLength;
      bytesDown += delivery.bytesDown;
      const last = replies.take(delivery.frame);
      return {
        ...replies.finish(),
        timings: replyTimings(last, delivery.timings),
        bytesUp,
        bytesDown,
        transport: delivery.via,
        resent: attempt > 0,
      };
    } catch (thrown) {
      if (attempt > 0 || !worthAgain(thrown)) throw thrown;
    }
  }
}

/** Collects the replies of one request; one that comes again, because the request was sent again, counts once. */
class Replies {
  readonly #manifest: Manifest;
  readonly #wish: TaskWish;
  readonly #tasks = new Map<string, Tensors>();
  readonly #failed = new Map<string, IsthmusError>();
  #featureId: string | undefined;
  /** What was wrong with a reply before the last, or with who was told of it. */
  #early: { thrown: unknown } | undefined;

  constructor(manifest: Manifest, wish: TaskWish) {
    this.#manifest = manifest;
    this.#wish = wish;
  }

  /** Inside the transport nothing may be thrown: it waits for the last reply. */
  takeEarly(bytes: Uint8Array): void {
    try {
      this.take(bytes);
    } catch (thrown) {
      this.#early ??= { thrown };
    }
  }

  /** @throws what the reply says of the whole request, and what is wrong with it */
  take(bytes: Uint8Array): Frame {
    const frame = readFrame(bytes);
    const { task, featureId, error } = frame.meta;
    if (frame.kind === 'error' && typeof task !== 'string') throw IsthmusError.fromJSON(error);
    const name = typeof task === 'string' ? task : MAIN_TASK;
    const ends = taskEnds(this.#manifest, name);
    if (!ends || !(this.#wish.tasks ?? [MAIN_TASK]).includes(name))
      throw unexpected(`it answers '${name.slice(0, 64)}', which was not asked for`);
    if (frame.kind === 'error') {
      if (!this.#tasks.has(name)) this.#failed.set(name, IsthmusError.fromJSON(error));
      return frame;
    }
    if (typeof featureId === 'string') this.#featureId = featureId;
    if (this.#tasks.has(name)) return frame;
    const outputs = replyTensors(frame, this.#manifest, ends);
    this.#tasks.set(name, outputs);
    this.#failed.delete(name);
    this.#wish.onTask?.(name, outputs);
    return frame;
  }

  /** @throws the first error when there is nothing but errors */
  finish(): Pick<TasksAnswered, 'outputs' | 'tasks' | 'failed' | 'featureId'> {
    const wanted = this.#wish.tasks ?? [MAIN_TASK];
    const left = wanted.filter((name) => !this.#tasks.has(name) && !this.#failed.has(name));
    const early = this.#early;
    this.#early = undefined;
    // What was damaged has come again where nothing is left.
    if (early && (left.length > 0 || !worthAgain(early.thrown))) throw early.thrown;
    for (const name of left) this.#failed.set(name, unexpected(`nothing came for the task '${name}'`));
    const [first] = this.#failed.values();
    if (this.#tasks.size === 0 && first) throw first;
    const outputs = this.#tasks.get(MAIN_TASK) ?? {};
    return { outputs, tasks: this.#tasks, failed: this.#failed, featureId: this.#featureId };
  }
}
