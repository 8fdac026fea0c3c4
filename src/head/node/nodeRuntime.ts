// HeadRuntime in Node: a worker thread with onnxruntime-node, sharp and the CPU codec, behind promises. The caller's
// event loop stays free while a segment runs, so deadlines and signals work. A dead thread is replaced at the next call.
import { cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { IsthmusError } from '../../errors.ts';
import type {
  DeviceReport,
  ExitAnswer,
  HeadRuntime,
  LoadOptions,
  Progress,
  RuntimeInput,
} from '../runtime.ts';
import type { Call, FromWorker } from './nodeMessages.ts';

interface Pending {
  resolve(value: unknown): void;
  reject(error: IsthmusError): void;
  onProgress: ((p: Progress) => void) | undefined;
  onAnswer: ((answer: ExitAnswer) => void) | undefined;
}

/** How long `close` waits for a thread to finish what it computes and to release its sessions. */
const CLOSE_MS = 10_000;

/**
 * Starts nothing yet: the thread comes with the first call, and only keeps the process alive while calls are pending.
 * @param spawn - makes the thread from nodeWorker.ts
 * @example const runtime = nodeRuntime(); await runtime.load({ manifest, artifacts }, 0);
 */
export function nodeRuntime(spawn: () => Worker = spawnThread): HeadRuntime {
  const device: DeviceReport = {
    kind: 'node',
    adapter: `${cpus()[0]?.model.trim() ?? process.arch}, onnxruntime-node`,
    software: false,
  };
  const pending = new Map<number, Pending>();
  let worker: Worker | undefined;
  /** The model, and the last segment that the present thread has; -2 when it knows nothing. */
  let model: LoadOptions | undefined;
  let there = -2;
  let closed = false;
  let ids = 0;

  function start(): Worker {
    const started = spawn();
    started.unref();
    started.on('message', settle);
    started.on('error', (cause) => fail(started, cause));
    started.on('exit', (code) => fail(started, new Error(`it ended with code ${code}`)));
    return started;
  }

  function settle(message: FromWorker): void {
    const call = pending.get(message.id);
    if (!call) return;
    if ('progress' in message) {
      call.onProgress?.(message.progress);
      return;
    }
    if ('answer' in message) {
      call.onAnswer?.(message.answer);
      return;
    }
    pending.delete(message.id);
    // While closing, the thread is what `close` waits for, though nothing is pending any more.
    if (pending.size === 0 && !closed) worker?.unref();
    if ('error' in message) call.reject(IsthmusError.fromJSON(message.error));
    else call.resolve(message.value);
  }

  /** 'error' and 'exit' both come; the second finds nothing left to tell. */
  function fail(which: Worker, cause: Error): void {
    if (which !== worker) return;
    worker = undefined;
    there = -2;
    const message = `The thread that runs segments has died (${cause.message}). The next call starts another one.`;
    rejectAll(new IsthmusError('WORKER_FAILED', message, { cause }));
  }

  function rejectAll(error: IsthmusError): void {
    const calls = [...pending.values()];
    pending.clear();
    for (const call of calls) call.reject(error);
  }

  function ask<T>(
    call: Call,
    onProgress?: Pending['onProgress'],
    onAnswer?: Pending['onAnswer'],
  ): Promise<T> {
    if (closed) return Promise.reject(isClosed());
    return new Promise<T>((resolve, reject) => {
      const id = ++ids;
      worker ??= start();
      worker.ref();
      pending.set(id, { resolve: resolve as Pending['resolve'], reject, onProgress, onAnswer });
      try {
        worker.postMessage({ id, call });
      } catch (thrown) {
        pending.delete(id);
        if (pending.size === 0) worker.unref();
        reject(IsthmusError.from(thrown, 'INPUT_INVALID', 'The input cannot be handed to another thread.'));
      }
    });
  }

  async function load(options: LoadOptions, last: number, onProgress?: (p: Progress) => void): Promise<void> {
    if (model?.manifest.id !== options.manifest.id) there = -2;
    model = options;
    await ask({ method: 'load', args: [options, last] }, onProgress);
    there = Math.max(there, last);
  }

  /** A thread that replaced a dead one gets back what the call needs; otherwise nothing happens. */
  async function need<T>(
    last: (m: LoadOptions['manifest']) => number,
    call: Call,
    onAnswer?: Pending['onAnswer'],
  ): Promise<T> {
    if (model && there < last(model.manifest)) await load(model, last(model.manifest));
    return ask<T>(call, undefined, onAnswer);
  }

  /**
   * The thread leaves by itself: one that is terminated inside onnxruntime takes the whole process down with it (SIGABRT
   * from the native side). Its downloads are aborted. One that computes for long is left behind; it keeps no process alive.
   */
  async function close(): Promise<void> {
    if (closed) return;
    const thread = worker;
    rejectAll(isClosed());
    const gone = thread && new Promise((resolve) => thread.once('exit', resolve));
    if (thread) ask({ method: 'close', args: [] }).catch(() => undefined);
    closed = true;
    let timer: NodeJS.Timeout | undefined;
    if (gone) await Promise.race([gone, new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))]);
    clearTimeout(timer);
    thread?.unref();
  }

  return {
    device,
    load,
    head: (input, cut, codec) => need(() => cut, { method: 'head', args: [compact(input), cut, codec] }),
    early: (input, plan, onAnswer) =>
      need(() => plan.cut, { method: 'early', args: [compact(input), plan] }, onAnswer),
    local: (input) => need((m) => m.segments.length - 1, { method: 'local', args: [compact(input)] }),
    remote: (input, format, quality) =>
      need(() => -1, { method: 'remote', args: [compact(input), format, quality] }),
    formats: () => ask({ method: 'formats', args: [] }),
    gzipFp16Bytes: (input, cut) => need(() => cut, { method: 'gzipFp16Bytes', args: [compact(input), cut] }),
    close,
  };
}

const isClosed = () => new IsthmusError('CLOSED', 'The session is closed. Connect again.');

/** Beside this file: as TypeScript in a checkout, as JavaScript in the package. */
function spawnThread(): Worker {
  const file = import.meta.url.endsWith('.ts') ? './nodeWorker.ts' : './nodeWorker.js';
  // Without the flags of this process: a thread that inherits --input-type does not start.
  return new Worker(new URL(file, import.meta.url), { name: 'isthmus-head', execArgv: [] });
}

/** Messages clone the whole buffer behind a view: a small Buffer of Node's pool would drag its neighbours along. */
function compact(input: RuntimeInput): RuntimeInput {
  if (input.kind !== 'file' || input.bytes.byteLength === input.bytes.buffer.byteLength) return input;
  return { kind: 'file', bytes: new Uint8Array(input.bytes) };
}
