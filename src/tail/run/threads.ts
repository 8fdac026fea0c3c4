// The pool: a bounded queue in front of a few worker threads (ortWorker.ts) for everything that would block the event
// loop. Requests for the same segments run together where that pays; a worker that dies fails its own work only and is
// replaced when the next one needs it.
import type { Worker } from 'node:worker_threads';
import type { InferOptions } from './backend.ts';
import { BatchSizers } from './batchSizer.ts';
import { movable, ProfileAccount } from './cargo.ts';
import { JobQueue, type Queued } from './jobQueue.ts';
import { type Job, type JobResult, type Outcome, outcome, tensorsOf, workOf } from './jobs.ts';
import { aborted, closedError, crashedError, expiredError, overloadedError } from './poolErrors.ts';
import { Slot } from './slot.ts';
import { rowsOf } from './stack.ts';
import type { WorkMessage } from './threadMessages.ts';
import { layOut, type ThreadsOptions } from './threadsOptions.ts';
import { attend, retire } from './workerThread.ts';

export interface Threads {
  /** Worker threads at most. */
  readonly size: number;
  /** Jobs that wait. */
  readonly waiting: number;
  /**
   * The job's buffers are moved away: do not read them afterwards.
   * @throws IsthmusError OVERLOADED, DEADLINE_EXCEEDED, CLOSED, INFERENCE_FAILED, or the job's own; AbortError
   */
  run(job: Job, options: InferOptions): Promise<JobResult>;
  /** To be asked before anything is read of a request. @throws IsthmusError OVERLOADED when the queue is full */
  refuseWhenFull(): void;
  close(): Promise<void>;
}

interface Waiting extends Queued {
  job: Job;
  /** The only worker that may do it. */
  thread: number | undefined;
  deadline: number | undefined;
  /** Whether it waits for a partner; undefined while nobody has asked. */
  held?: boolean;
  /** Tells its thread that nobody waits any more. */
  cancel?: () => void;
  settle(outcome: Outcome): void;
}

const DEFAULT_URGENCY = 3;
const TIME_WEIGHT = 0.1;
const LEAST_PRESSURE = 8;
/** Bytes of segments that take a thread out of service for longer than a few requests. */
const LONG_LOAD = 16 * 1024 * 1024;
/** Longest delay a timer takes. */
const FOREVER_MS = 2 ** 31 - 1;

/** @example const threads = createThreads({ threads: 4 }); */
export function createThreads(options: ThreadsOptions = {}): Threads {
  const { workers, settings, maxQueue, maxBatch, maxBatchWaitMs, startWorker, onBatch } = layOut(options);
  const slots = Array.from({ length: workers }, (_, index) => new Slot<Waiting>(index));
  const queue = new JobQueue<Waiting>(maxQueue);
  const pressed = Math.max(LEAST_PRESSURE, maxQueue / 2);
  const sizers = new BatchSizers(maxBatch);
  let closed = false;
  /** Milliseconds of a thread that a job takes, a moving average. */
  let perJob = 0;

  /** Gives work to every thread that is free, as long as there is some that suits it. */
  function dispatch(): void {
    for (let given = true; given && queue.length > 0; ) {
      given = false;
      for (const slot of slots) {
        const first = slot.busy ? undefined : queue.find((e) => suits(e, slot) && !expectsPartner(e));
        if (!first) continue;
        start(slot, first);
        given = true;
      }
    }
    if (queue.length >= pressed) ahead();
  }

  /**
   * Under pressure every thread has its next work at hand: the event loop, busy with what comes, may be late with it by as
   * much as a whole run takes. Not before, since what a thread has been given nobody urgent can overtake.
   */
  function ahead(): void {
    for (const slot of slots.filter((s) => s.takesNext)) {
      const next = queue.find((e) => e.thread === undefined && e.job.kind === 'run' && !missing(e, slot));
      if (next) start(slot, next);
    }
  }

  const missing = ({ job }: Waiting, slot: Slot<Waiting>) =>
    job.kind === 'run' ? slot.missing(job.segments) : 0;

  /**
   * A thread that has the sessions goes first; and one thread stays free of long loading, so that a large model that is
   * asked for the first time does not stop all others.
   */
  function suits(entry: Waiting, slot: Slot<Waiting>): boolean {
    if (entry.thread !== undefined) return entry.thread === slot.index;
    const bytes = missing(entry, slot);
    if (bytes === 0) return true;
    if (slots.some((other) => !other.busy && missing(entry, other) === 0)) return false;
    const long = slots.filter((other) => other.loading >= LONG_LOAD);
    return bytes < LONG_LOAD || long.length < Math.max(1, workers - 1);
  }

  function expectsPartner(entry: Waiting): boolean {
    if (entry.together === undefined) return false;
    const sizer = sizers.of(entry.together);
    const rows = queue.rows(entry.together);
    if (entry.held === undefined) {
      const wait = sizer.wait(rows, maxBatchWaitMs);
      entry.held = wait > 0;
      if (entry.held) setTimeout(release, Math.ceil(wait), entry);
    }
    return entry.held && rows < sizer.limit;
  }

  /** By the timer, not by the clock: timers may fire a little early, and nobody would come back for what is still held. */
  function release(entry: Waiting): void {
    entry.held = false;
    dispatch();
  }

  function start(slot: Slot<Waiting>, first: Waiting): void {
    const { job } = first;
    const sizer = first.together === undefined ? undefined : sizers.of(first.together);
    const entries = queue.takeWith(first, sizer?.limit ?? 1);
    const cancelled = new Int32Array(new SharedArrayBuffer(4 * entries.length));
    for (const [i, entry] of entries.entries()) entry.cancel = () => void Atomics.store(cancelled, i, 1);
    const items = entries.map((e) => ({ tensors: tensorsOf(e.job), deadline: e.deadline }));
    const loads = missing(first, slot);
    const probe = maxBatch > 1 && sizer !== undefined && sizer.together === undefined;
    const known = job.kind === 'picture' ? undefined : job.profiles;
    const account = slot.profiles.next(
      items.map((item) => item.tensors),
      known,
    );
    const work = workOf(job, items, probe);
    const message: WorkMessage = { work, cancelled, ...account };
    try {
      slot.worker ??= employ(slot);
      slot.worker.postMessage(message, movable(work));
    } catch (thrown) {
      // No more threads to be had, for one. The slot must not wait for an answer, nor do those who asked.
      slot.profiles = new ProfileAccount();
      for (const entry of entries) entry.settle({ thrown: crashedError(thrown, 0) });
      return;
    }
    slot.begin(entries, loads, (reply, begun) => {
      const ms = performance.now() - begun;
      perJob += TIME_WEIGHT * (ms / entries.length - perJob);
      if (job.kind === 'run') onBatch(entries.length);
      if (sizer) {
        sizer.together ??= reply.together;
        // The thread's whole time counts, not onnxruntime's alone: that it is woken once is what a batch saves, too.
        if (probe) sizer.ran(1, reply.working / entries.length);
        else if (loads === 0)
          sizer.ran(
            entries.reduce((sum, e) => sum + e.rows, 0),
            ms,
          );
      }
      for (const [i, entry] of entries.entries())
        entry.settle(outcome(reply.items[i], reply, begun - entry.since));
    });
  }

  function employ(slot: Slot<Waiting>): Worker {
    const worker = startWorker(settings);
    attend(worker, {
      replied(reply) {
        slot.done(reply);
        dispatch();
      },
      ended(reason, code) {
        for (const entry of slot.ended())
          entry.settle({ thrown: closed ? closedError() : crashedError(reason, code) });
        if (!closed) dispatch();
      },
    });
    return worker;
  }

  function refuseWhenFull(): void {
    if (!queue.full) return;
    const seconds = (queue.length * perJob) / workers / 1000;
    throw overloadedError(queue.length, Math.max(0.05, seconds));
  }

  return {
    size: workers,
    get waiting() {
      return queue.length;
    },
    refuseWhenFull,

    async run(job, { deadline, signal, urgency = DEFAULT_URGENCY, thread }): Promise<JobResult> {
      if (closed) throw closedError();
      if (signal?.aborted) throw aborted(signal);
      if (deadline !== undefined && deadline <= Date.now()) throw expiredError();
      refuseWhenFull();
      return new Promise((resolve, reject) => {
        const since = performance.now();
        const rows = rowsOf(tensorsOf(job));
        const together = job.kind === 'run' && thread === undefined && rows ? job.together : undefined;
        let timer: NodeJS.Timeout | undefined;
        const leave = (thrown: unknown) => {
          queue.remove(entry);
          entry.settle({ thrown });
        };
        const onAbort = () => {
          entry.cancel?.();
          leave(aborted(signal));
        };
        const entry: Waiting = {
          job,
          since,
          urgency,
          thread,
          deadline,
          together,
          rows: rows ?? 1,
          settle: (end) => {
            clearTimeout(timer);
            signal?.removeEventListener('abort', onAbort);
            if ('thrown' in end) reject(end.thrown);
            else resolve(end);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        if (together !== undefined) sizers.of(together).arrived(since);
        queue.push(entry);
        dispatch();
        if (deadline === undefined || entry.cancel) return; // it runs
        timer = setTimeout(
          () => !entry.cancel && leave(expiredError()),
          Math.min(FOREVER_MS, Math.max(1, deadline - Date.now())),
        );
      });
    },

    async close(): Promise<void> {
      closed = true;
      for (const entry of queue.drain()) entry.settle({ thrown: closedError() });
      for (const entry of slots.flatMap((slot) => slot.entries)) {
        entry.cancel?.();
        entry.settle({ thrown: closedError() });
      }
      await Promise.all(slots.map(({ worker }) => worker && retire(worker)));
    },
  };
}
