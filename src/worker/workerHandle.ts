// One living worker as seen from the page: a Comlink proxy whose calls always settle. Comlink itself leaves calls
// pending for ever when a worker dies; here every call races the worker's death.
import * as Comlink from 'comlink';
import { IsthmusError } from '../errors.ts';
import type { News, StartOptions, WorkerApi } from './api.ts';
import { fromWire } from './errorWire.ts';

export interface WorkerHandle {
  /** Calls the worker. @throws what the worker threw, or WORKER_FAILED when it died. */
  call<T>(work: (api: Comlink.Remote<WorkerApi>) => Promise<T>): Promise<T>;
  readonly dead: boolean;
  /** Ends the worker; pending calls reject with `reason`. */
  end(reason: IsthmusError): void;
}

/** Starting includes fetching the worker's script; a server that never answers must not hang the page. */
const START_MS = 60_000;

/** @param onEnd told once when it has ended. @throws IsthmusError WORKER_FAILED when the worker cannot be made. */
export function createWorkerHandle(
  make: () => Worker,
  onEnd: (reason: IsthmusError) => void = () => {},
): WorkerHandle {
  let worker: Worker;
  try {
    worker = make();
  } catch (thrown) {
    throw IsthmusError.from(
      thrown,
      'WORKER_FAILED',
      'The worker could not be started. Serve its script from this origin, allow it in worker-src, or pass `worker`.',
    );
  }
  const api = Comlink.wrap<WorkerApi>(worker);
  const pending = new Set<(reason: IsthmusError) => void>();
  let reason: IsthmusError | undefined;

  function end(why: IsthmusError): void {
    if (reason) return;
    reason = why;
    worker.terminate();
    // Comlink's registry holds the worker, whose listeners hold the proxy that the registry waits for: nothing would be collected.
    api[Comlink.releaseProxy]();
    for (const reject of pending) reject(why);
    pending.clear();
    onEnd(why);
  }

  worker.addEventListener('error', (event) => {
    event.preventDefault();
    end(
      failed(
        event.message ||
          'its script could not be loaded (serve it from this origin and allow it in worker-src)',
      ),
    );
  });
  worker.addEventListener('messageerror', () => end(failed('a message could not be read')));

  return {
    get dead() {
      return reason !== undefined;
    },
    end,
    call(work) {
      return new Promise((resolve, reject) => {
        if (reason) return reject(reason);
        pending.add(reject);
        work(api).then(
          (value) => {
            pending.delete(reject);
            resolve(value);
          },
          (thrown) => {
            pending.delete(reject);
            reject(reason ?? fromWire(thrown));
          },
        );
      });
    },
  };
}

/** Starts the runtime inside, and watches the worker as soon as its script runs. */
export async function startWorker(
  handle: WorkerHandle,
  options: StartOptions,
  tell: (news: News) => void,
  onHello: () => void,
) {
  const lock = `isthmus-worker-${Date.now()}-${Math.random().toString(36).slice(2)}`;
  const timer = setTimeout(
    () => handle.end(failed(`it did not start within ${START_MS / 1000} s`)),
    START_MS,
  );
  try {
    if (await handle.call((api) => api.hello(lock))) watch(handle, lock);
    onHello();
    return await handle.call((api) => api.start(options, Comlink.proxy(tell)));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A worker that is terminated, or killed for its memory, sends no event at all. But the browser gives its Web Lock
 * to the next in line, which is us; that takes a few milliseconds and costs nothing while the worker lives.
 */
function watch(handle: WorkerHandle, lock: string): void {
  globalThis.navigator?.locks
    ?.request(lock, () => handle.end(failed('it was ended from outside or ran out of memory')))
    .catch(() => undefined); // the page itself is going away
}

function failed(why: string): IsthmusError {
  return new IsthmusError('WORKER_FAILED', `The worker failed: ${why}. Run again; a new one is started.`);
}
