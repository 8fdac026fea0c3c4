// How large the pool is and how much it may hold: options with their defaults, and the share of one worker.
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { ThreadSettings } from './threadMessages.ts';
import { startThread } from './workerThread.ts';

export interface ThreadsOptions {
  /** Threads in all; default: the cores of this machine. Up to four workers share them. */
  threads?: number;
  /** Jobs that may wait; more are refused with OVERLOADED. Default 64. */
  maxQueue?: number;
  /** Requests (rows of the batch) that may run together. Default 16; 1 turns batching off. */
  maxBatch?: number;
  /** Milliseconds that a request may wait for a partner. Default 2. */
  maxBatchWaitMs?: number;
  /** Bytes of segment files whose sessions are kept, over all workers. Default 2 GiB. */
  sessionBytes?: number;
  /** Told of every run: how many requests ran together. */
  onBatch?: (size: number) => void;
  /** Starts a worker thread; default: the file beside this one. */
  startWorker?: (settings: ThreadSettings) => Worker;
}

/** More would each need the sessions of every model. */
const MOST_WORKERS = 4;

/** Fills in the defaults. */
export function layOut(options: ThreadsOptions) {
  const { threads = availableParallelism(), maxQueue = 64, sessionBytes = 2 ** 31 } = options;
  const { maxBatch = 16, maxBatchWaitMs = 2, startWorker = startThread } = options;
  const workers = Math.min(MOST_WORKERS, Math.max(1, threads));
  const settings: ThreadSettings = {
    intraOpThreads: Math.max(1, Math.floor(threads / workers)),
    sessionBytes: Math.floor(sessionBytes / workers),
  };
  const onBatch = options.onBatch ?? (() => undefined);
  return { workers, settings, maxQueue, maxBatch, maxBatchWaitMs, startWorker, onBatch };
}
