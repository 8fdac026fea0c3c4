// The pool: a bounded queue in front of a few worker threads (ortWorker.ts) for everything that would block the event
// loop. Data moves to a worker and back without copies; a worker that dies fails its own job only and is replaced when
// the next one needs it.
import { availableParallelism } from 'node:os';
import { isMarkedAsUntransferable, Worker } from 'node:worker_threads';
import { abortError } from '../../abort.ts';
import { IsthmusError } from '../../errors.ts';
import type { Tensors } from '../../tensor.ts';
import type { InferOptions } from './backend.ts';
import type {
  JobMessage,
  PictureJob,
  RunJob,
  StopMessage,
  ThreadReply,
  ThreadSettings,
} from './threadMessages.ts';

export interface ThreadsOptions {
  /** Threads in all; default: the cores of this machine. Two workers (one for one thread) share them. */
  threads?: number;
  /** Jobs that may wait; more are refused with OVERLOADED. Default 64. */
  maxQueue?: number;
  /** Bytes of segment files whose sessions are kept, over all workers. Default 2 GiB. */
  sessionBytes?: number;
  /** Starts a worker thread; default: the file beside this one. */
  startWorker?: (settings: ThreadSettings) => Worker;
}

interface JobResult {
  outputs: Tensors;
  /** Milliseconds of waiting for a thread and, the first time, for its sessions; and of the work itself. */
  queue: number;
  working: number;
}

export interface Threads {
  /** Worker threads at most. */
  readonly size: number;
  /**
   * The job's buffers are moved away: do not read them afterwards.
   * @throws IsthmusError OVERLOADED, DEADLINE_EXCEEDED, CLOSED, INFERENCE_FAILED, or the job's own; AbortError
   */
  run(job: RunJob | PictureJob, options: InferOptions): Promise<JobResult>;
  close(): Promise<void>;
}

interface Waiting {
  message: JobMessage;
  since: number;
  deadline: number | undefined;
  settle(outcome: JobResult | { thrown: unknown }): void;
}

interface Slot {
  worker?: Worker | undefined;
  job?: Waiting | undefined;
  waited: number;
}

/** Longer than any single segment should take. */
const STUCK_MS = 10_000;

/** The worker's file: TypeScript beside the source, JavaScript beside the bundle. */
function startThread(settings: ThreadSettings): Worker {
  const file = import.meta.url.endsWith('.ts') ? './ortWorker.ts' : './tailWorker.js';
  return new Worker(new URL(file, import.meta.url), {
    workerData: settings,
    name: 'isthmus-tail',
    execArgv: [],
  });
}

/** @example const threads = createThreads({ threads: 4 }); */
export function createThreads(options: ThreadsOptions = {}): Threads {
  const { threads = availableParallelism(), maxQueue = 64, sessionBytes = 2 ** 31 } = options;
  const { startWorker = startThread } = options;
  const workers = Math.min(2, Math.max(1, threads));
  const settings: ThreadSettings = {
    intraOpThreads: Math.max(1, Math.floor(threads / workers)),
    sessionBytes: Math.floor(sessionBytes / workers),
  };
  const slots: Slot[] = Array.from({ length: workers }, () => ({ waited: 0 }));
  const queue: Waiting[] = [];
  let closed = false;

  function dispatch(): void {
    for (const slot of slots) {
      if (slot.job) continue;
      let job = queue.shift();
      while (job?.deadline !== undefined && job.deadline <= Date.now()) {
        job.settle({ thrown: deadlineError() });
        job = queue.shift();
      }
      if (!job) return;
      slot.job = job;
      slot.waited = performance.now() - job.since;
      slot.worker ??= employ(slot);
      slot.worker.postMessage(job.message, movable(job.message.job));
    }
  }

  function employ(slot: Slot): Worker {
    const worker = startWorker(settings);
    let reason: unknown;
    worker.on('message', (reply: ThreadReply) => {
      const { job, waited } = slot;
      slot.job = undefined;
      job?.settle(outcome(reply, waited));
      dispatch();
    });
    worker.on('error', (thrown) => {
      reason = thrown;
    });
    worker.on('exit', (code) => {
      const { job } = slot;
      slot.job = undefined;
      slot.worker = undefined;
      job?.settle({ thrown: closed ? closedError() : crashed(reason, code) });
      if (!closed) dispatch();
    });
    return worker;
  }

  return {
    size: workers,

    async run(job, { deadline, signal }): Promise<JobResult> {
      if (closed) throw closedError();
      if (signal?.aborted) throw aborted(signal);
      if (deadline !== undefined && deadline <= Date.now()) throw deadlineError();
      if (queue.length >= maxQueue) throw overloaded(queue.length);
      const message: JobMessage = { job, cancelled: new Int32Array(new SharedArrayBuffer(4)) };
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          Atomics.store(message.cancelled, 0, 1);
          const at = queue.indexOf(waiting);
          if (at >= 0) queue.splice(at, 1);
          waiting.settle({ thrown: aborted(signal) });
        };
        const waiting: Waiting = {
          message,
          since: performance.now(),
          deadline,
          settle: (outcome) => {
            signal?.removeEventListener('abort', onAbort);
            if ('thrown' in outcome) reject(outcome.thrown);
            else resolve(outcome);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        queue.push(waiting);
        dispatch();
      });
    },

    async close(): Promise<void> {
      closed = true;
      for (const job of queue.splice(0)) job.settle({ thrown: closedError() });
      for (const { job } of slots) job?.settle({ thrown: closedError() });
      await Promise.all(slots.map(({ worker }) => worker && retire(worker)));
    },
  };
}

/**
 * Lets the worker leave by itself: a thread that is terminated inside onnxruntime takes the whole process down with it
 * (SIGABRT from the native side, seen in one of five runs). One that does not come back is left behind, and keeps no
 * process alive.
 */
async function retire(worker: Worker): Promise<void> {
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  const stop: StopMessage = { stop: true };
  worker.postMessage(stop);
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([gone, new Promise((resolve) => (timer = setTimeout(resolve, STUCK_MS)))]);
  clearTimeout(timer);
  worker.unref();
}

/** Several tensors may be views of one request body; it moves once, and the views move with it. */
function movable(job: RunJob | PictureJob): ArrayBuffer[] {
  const views = job.kind === 'picture' ? [job.file] : Object.values(job.tensors).map((t) => t.data);
  const buffers = new Set(views.map((view) => view.buffer));
  return [...buffers].filter(
    (b): b is ArrayBuffer => b instanceof ArrayBuffer && !isMarkedAsUntransferable(b),
  );
}

function outcome(reply: ThreadReply, waited: number): JobResult | { thrown: unknown } {
  if ('outputs' in reply) {
    return { outputs: reply.outputs, queue: waited + reply.loading, working: reply.working };
  }
  return { thrown: 'error' in reply ? IsthmusError.fromJSON(reply.error) : abortError() };
}

/** Always an Error: the HTTP layer aborts with a string, which error handlers would not recognise. */
function aborted(signal: AbortSignal | undefined): unknown {
  return signal?.reason instanceof Error ? signal.reason : abortError();
}

function crashed(reason: unknown, code: number): IsthmusError {
  const missing = (reason as { code?: string } | undefined)?.code === 'ERR_MODULE_NOT_FOUND';
  return new IsthmusError(
    'INFERENCE_FAILED',
    missing
      ? 'The tail cannot run models because onnxruntime-node is not installed; its operator runs `npm install onnxruntime-node`.'
      : `The thread that ran this request died (code ${code}) and is being replaced. Send it again.`,
    { cause: reason },
  );
}

function overloaded(waiting: number): IsthmusError {
  return new IsthmusError(
    'OVERLOADED',
    `${waiting} requests wait already, which is this tail's limit. Try again in a second.`,
  );
}

function deadlineError(): IsthmusError {
  return new IsthmusError(
    'DEADLINE_EXCEEDED',
    'The deadline passed while the request waited for a free thread. Allow more time or try another tail.',
  );
}

function closedError(): IsthmusError {
  return new IsthmusError(
    'CLOSED',
    'The tail is stopping. Send the request to another one, or again in a moment.',
  );
}
