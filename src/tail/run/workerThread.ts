// Starting and ending a worker thread. A thread is never terminated: inside onnxruntime that ends the whole process.
import { Worker } from 'node:worker_threads';
import type { StopMessage, ThreadReply, ThreadSettings } from './threadMessages.ts';

/** Longer than any single segment should take. */
const STUCK_MS = 10_000;
const YOUNG_MB = 16;

/** The worker's file: TypeScript beside the source, JavaScript beside the bundle. */
export function startThread(settings: ThreadSettings): Worker {
  const file = import.meta.url.endsWith('.ts') ? './ortWorker.ts' : './tailWorker.js';
  return new Worker(new URL(file, import.meta.url), {
    workerData: settings,
    name: 'isthmus-tail',
    execArgv: [],
    // Tensors live outside V8's heap; what is inside is short-lived and small. Left to itself the young generation grows
    // to tens of megabytes for each thread.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
}

/** Hears what a worker says, and its end with the reason, if it threw one. */
export function attend(
  worker: Worker,
  hear: { replied(reply: ThreadReply): void; ended(reason: unknown, code: number): void },
): void {
  let reason: unknown;
  worker.on('message', hear.replied);
  worker.on('error', (thrown) => {
    reason = thrown;
  });
  worker.on('exit', (code) => hear.ended(reason, code));
}

/**
 * Lets the worker leave by itself: a thread that is terminated inside onnxruntime takes the whole process down with it
 * (SIGABRT from the native side, seen in one of five runs). One that does not come back is left behind, and keeps no
 * process alive.
 */
export async function retire(worker: Worker): Promise<void> {
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  const stop: StopMessage = { stop: true };
  worker.postMessage(stop);
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([gone, new Promise((resolve) => (timer = setTimeout(resolve, STUCK_MS)))]);
  clearTimeout(timer);
  worker.unref();
}
