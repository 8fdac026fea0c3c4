// `isthmus/tail`: the server half. Puts registry, backend, application and socket together and takes them down again
// in order. Signals, exit codes and printing belong to the command line (src/cli/serve.ts).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { pino } from 'pino';
import { IsthmusError } from '../errors.ts';
import { MAX_PICTURE_PIXELS } from '../image/limits.ts';
import type { TailContext, TailEnv, TailLogger } from './context.ts';
import { createApp } from './http/app.ts';
import { ByteBudget } from './http/readBody.ts';
import { listen, stopListening } from './listen/listen.ts';
import { loadRegistry } from './models/registry.ts';
import { openGate } from './operate/gate.ts';
import { noMetrics } from './operate/metrics.ts';
import type { TailBackend } from './run/backend.ts';
import { createOrtBackend } from './run/ortBackend.ts';
import { createThreads } from './run/threads.ts';
import { warmUp } from './run/warmUp.ts';

const MIB = 1024 * 1024;

export interface TailServerOptions {
  /** A folder of model folders, or one model folder (made by `isthmus split`). */
  models: string;
  /** Default 8787; 0 takes a free one. */
  port?: number;
  /** Default 127.0.0.1, this machine only; 0.0.0.0 answers on every network. */
  host?: string;
  /** Largest frame in bytes, default 8 MiB. */
  maxBodyBytes?: number;
  /** Largest picture (as a body of its own) in bytes, default 20 MiB. */
  maxPictureBytes?: number;
  /** Origins whose pages may call, or '*'; default: only pages that this server serves itself. */
  cors?: readonly string[] | '*';
  /** Threads for inference, default: the cores of this machine. */
  threads?: number;
  /** Requests that may wait for a thread, default 64. */
  maxQueue?: number;
  /** pino or anything like it; `false` for silence. Default: pino, one JSON line per request on stderr. */
  logger?: TailLogger | false;
  /** Folder of a built web app to serve on the same origin. */
  staticDir?: string;
  /** Milliseconds a client has for its headers (default 10 000), and for headers and body (default 60 000). */
  headersTimeoutMs?: number;
  requestTimeoutMs?: number;
  /** Load small models right after the start, so that the first request need not wait. Default false. */
  warm?: boolean;
  /** Replaces onnxruntime-node, for tests and for engines of your own. */
  backend?: TailBackend;
}

export interface TailServer {
  /** `http://127.0.0.1:8787`, with the real port. */
  readonly url: string;
  readonly port: number;
  /** Names of the models that are served. */
  readonly models: readonly string[];
  /** The Hono application: `app.request(path)` answers without a socket. */
  readonly app: Hono<TailEnv>;
  /**
   * Stops: /readyz and new work answer 503 at once, requests that run are finished within `graceMs` (default 10 s) and
   * cut after that, then the port and the threads are closed. A second call waits for the first.
   */
  close(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Starts a tail server.
 *
 * @throws IsthmusError OPTION_INVALID (folder, port, host), MANIFEST_INVALID or INTEGRITY_MISMATCH when no model is left
 * @example
 * const tail = await createTailServer({ models: 'models', port: 0 });
 * console.log(tail.url);
 * await tail.close();
 */
export async function createTailServer(options: TailServerOptions): Promise<TailServer> {
  const log =
    options.logger === false ? SILENT : (options.logger ?? pino({ name: 'isthmus' }, pino.destination(2)));
  if (options.staticDir !== undefined && !existsSync(join(options.staticDir, 'index.html'))) {
    throw new IsthmusError(
      'OPTION_INVALID',
      `'${options.staticDir}' holds no index.html. Build the app first, or leave it out.`,
    );
  }
  const registry = await loadRegistry(options.models);
  for (const { folder, error } of registry.skipped) log.warn({ folder, code: error.code }, error.message);

  const limits = {
    frameBytes: options.maxBodyBytes ?? 8 * MIB,
    pictureBytes: options.maxPictureBytes ?? 20 * MIB,
    picturePixels: MAX_PICTURE_PIXELS,
  };
  // sharp must be loaded by the main thread first, or its libraries go when the first worker that used them ends.
  await import('sharp').catch(() => undefined);
  const threads = createThreads({
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.maxQueue !== undefined && { maxQueue: options.maxQueue }),
  });
  const backend = options.backend ?? createOrtBackend(threads);
  const closeWork = () => Promise.all([backend.close(), threads.close()]);
  const tail: TailContext = {
    registry,
    backend,
    threads,
    limits,
    bodies: new ByteBudget(512 * MIB),
    log,
    gate: openGate,
    metrics: noMetrics,
    stopping: false,
    inFlight: 0,
  };
  const app = createApp(tail, options);
  const listening = await listen(app.fetch, {
    port: options.port ?? 8787,
    host: options.host ?? '127.0.0.1',
    largestBody: Math.max(limits.frameBytes, limits.pictureBytes),
    headersTimeoutMs: options.headersTimeoutMs ?? 10_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 60_000,
  }).catch(async (thrown: unknown) => {
    await closeWork();
    throw thrown;
  });

  // Nobody waits for it: requests are answered meanwhile, and what it could not load is loaded when asked for.
  if (options.warm) void warmUp(registry.models.values(), backend, threads.size);

  async function stop(graceMs: number): Promise<void> {
    tail.stopping = true;
    const deadline = Date.now() + graceMs;
    // The port stays open meanwhile: a load balancer shall read 503 from /readyz, not guess from refused connections.
    while (tail.inFlight > 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 10));
    await stopListening(listening, Math.max(0, deadline - Date.now()));
    await closeWork();
  }

  let closing: Promise<void> | undefined;
  return {
    url: listening.url,
    port: listening.port,
    models: [...registry.models.keys()],
    app,
    close({ graceMs = 10_000 } = {}) {
      closing ??= stop(graceMs);
      return closing;
    },
  };
}

const SILENT: TailLogger = { info() {}, warn() {}, error() {} };
