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
import type { MetricsAccess } from './http/metricsRoutes.ts';
import { ByteBudget } from './http/readBody.ts';
import { createFeatureCache, type FeatureCacheOptions } from './infer/featureCache.ts';
import type { LinkLimits } from './link/linkLimits.ts';
import { Links } from './link/links.ts';
import { webSocketLinks } from './link/webSocketLinks.ts';
import { listenWebTransport, type WebTransportListening } from './link/webTransportLinks.ts';
import { certificateHashes, checkTls, type TlsOptions } from './listen/certificate.ts';
import { listen } from './listen/listen.ts';
import { openModels, type ReloadReport } from './models/modelStore.ts';
import { type GrpcServer, startGrpc } from './oip/grpcServer.ts';
import { createGate } from './operate/createGate.ts';
import type { Gate } from './operate/gate.ts';
import { createMetrics } from './operate/prometheus.ts';
import type { TailBackend } from './run/backend.ts';
import { createOrtBackend } from './run/ortBackend.ts';
import { createThreads } from './run/threads.ts';
import { warmUp } from './run/warmUp.ts';

export { createOipBackend, type OipBackendOptions } from './oip/oipBackend.ts';
export { createGate, type GateOptions, type ReloadableGate } from './operate/createGate.ts';

const MIB = 1024 * 1024;
const SETTLE_MS = 100;

export interface TailServerOptions {
  /** A folder of model folders, or one model folder (made by `isthmus split`). */
  models: string;
  /** Default 8787; 0 takes a free one. */
  port?: number;
  /** Default 127.0.0.1, this machine only; 0.0.0.0 answers on every network. */
  host?: string;
  /**
   * PEM texts of a certificate and its key. With them the port speaks TLS, HTTP/2 too, and WebTransport is offered on the
   * same UDP port. Plain HTTP is served to this machine only; others are sent to https.
   */
  tls?: TlsOptions;
  /** Default true: with a certificate, and where `rwebtransport` is installed (Node 24). */
  webTransport?: boolean;
  /** Bounds of one link, where they differ from the defaults. */
  linkLimits?: Partial<LinkLimits>;
  /** Largest frame in bytes, default 8 MiB. */
  maxBodyBytes?: number;
  /** Largest picture (as a body of its own) in bytes, default 20 MiB. */
  maxPictureBytes?: number;
  /** Origins whose pages may call, or '*'; default: only pages that this server serves itself. */
  cors?: readonly string[] | '*';
  /**
   * Who may come in, and how often (`createGate`). Default: everybody, but pages only of this host and of `cors`. A gate of
   * your own has its own list of origins; `cors` still says whether answers have CORS headers at all.
   */
  gate?: Gate;
  /** Who reads /metrics: this machine and holders of a token (default), everybody, or nobody. */
  metrics?: MetricsAccess;
  /** Threads for inference, default: the cores of this machine. */
  threads?: number;
  /** Requests that may wait for a thread, default 64. */
  maxQueue?: number;
  /** Requests that may run together where the model has a batch dimension, default 16; 1 turns it off. */
  maxBatch?: number;
  /** Milliseconds that a request may wait for others to run with, default 2; 0 takes only what waits already. */
  maxBatchWaitMs?: number;
  /** pino or anything like it; `false` for silence. Default: pino, one JSON line per request on stderr. */
  logger?: TailLogger | false;
  /** Folder of a built web app to serve on the same origin. */
  staticDir?: string;
  /** Milliseconds a client has for its headers (default 10 000), and for headers and body (default 60 000). */
  headersTimeoutMs?: number;
  requestTimeoutMs?: number;
  /** Load small models right after the start, so that the first request need not wait. Default false. */
  warm?: boolean;
  /**
   * Looks after the folder of models while it is served: what changes there is loaded aside, checked and put in place, and
   * what it replaces is answered for `graceMs` more (default five minutes). Default: only when `reload()` is called.
   */
  watch?: boolean | { debounceMs?: number; pollMs?: number };
  /** How much clients may have kept of their features, and for how long. Default: 64 MiB in all, 60 s each. */
  features?: FeatureCacheOptions;
  /** Milliseconds for which replaced versions are still answered, default 300 000. */
  modelGraceMs?: number;
  /** Port of the Open Inference Protocol over gRPC; 0 takes a free one. Default: only its REST form, under /v2. */
  grpcPort?: number;
  /** Replaces onnxruntime-node: `createOipBackend` forwards to an engine; or one of your own. */
  backend?: TailBackend;
}

export interface TailServer {
  /** `http://127.0.0.1:8787`, with the real port; https with a certificate. */
  readonly url: string;
  readonly port: number;
  /** Its UDP port, and the hashes for `serverCertificateHashes`; undefined where WebTransport is not offered. */
  readonly webTransport: { port: number; certificateHashes: readonly string[] } | undefined;
  /** Where gRPC is; undefined where it was not asked for. */
  readonly grpcPort: number | undefined;
  /**
   * Takes another certificate, for new connections. WebTransport links are closed, since QUIC is bound to the old one; their
   * clients go on over WebSocket and come back.
   * @throws IsthmusError OPTION_INVALID when it is none, or the tail has none; nothing changes then
   */
  renewCertificate(tls: TlsOptions): Promise<void>;
  /** Names of the models that are served. */
  readonly models: readonly string[];
  /**
   * Looks at the folder of models now. What is broken there keeps its former state in service and is named.
   * @throws IsthmusError OPTION_INVALID when the folder cannot be read or holds no model any more; nothing changes then
   */
  reload(): Promise<ReloadReport>;
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
  if (options.tls) checkTls(options.tls);
  const gate = options.gate ?? (await createGate({ origins: options.cors }));
  const prometheus = createMetrics();
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
    ...(options.maxBatch !== undefined && { maxBatch: options.maxBatch }),
    ...(options.maxBatchWaitMs !== undefined && { maxBatchWaitMs: options.maxBatchWaitMs }),
    onBatch: (size) => prometheus.batch(size),
  });
  const backend = options.backend ?? createOrtBackend(threads);
  let ready = false;
  const store = await openModels(options.models, {
    graceMs: options.modelGraceMs,
    // Requests find new models only once they are warm. At the start nobody waits for it.
    prepare: async (models) => {
      const warm = options.warm ? warmUp(models, backend, threads.size) : undefined;
      if (ready) await warm;
    },
    onChange: (report) => logReload(report, log),
  }).catch(async (thrown: unknown) => {
    await Promise.all([backend.close(), threads.close()]);
    throw thrown;
  });
  const closeWork = async () => {
    store.close();
    await Promise.all([backend.close(), threads.close()]);
  };
  const tail: TailContext = {
    get registry() {
      return store.registry;
    },
    backend,
    threads,
    limits,
    bodies: new ByteBudget(512 * MIB),
    features: createFeatureCache(options.features),
    log,
    gate,
    metrics: prometheus,
    stopping: false,
    inFlight: 0,
    links: new Links(),
    ...(options.linkLimits && { linkLimits: options.linkLimits }),
  };
  showSizes(tail);
  const app = createApp(tail, { ...options, prometheus });
  const host = options.host ?? '127.0.0.1';
  const listening = await listen(app.fetch, {
    port: options.port ?? 8787,
    host,
    tls: options.tls,
    upgrade: webSocketLinks(tail),
    largestBody: Math.max(limits.frameBytes, limits.pictureBytes),
    headersTimeoutMs: options.headersTimeoutMs ?? 10_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 60_000,
  }).catch(async (thrown: unknown) => {
    await closeWork();
    throw thrown;
  });

  let udp: WebTransportListening | undefined;
  const offerWebTransport = async (tls: TlsOptions) => {
    await udp?.close();
    if (options.webTransport === false) return;
    udp = await listenWebTransport(tail, { host: listening.address, port: listening.port, tls });
    if (udp) tail.webTransport = { port: udp.port, certificateHashes: certificateHashes(checkTls(tls)) };
    else delete tail.webTransport;
  };
  if (options.tls) await offerWebTransport(options.tls);

  const grpc = await openGrpc(tail, options).catch(async (thrown: unknown) => {
    await listening.stop(0);
    await udp?.close();
    await closeWork();
    throw thrown;
  });

  ready = true;
  if (options.watch) {
    const times = typeof options.watch === 'object' ? options.watch : {};
    store.watch({ ...times, onError: (error) => log.error({ code: error.code }, error.message) });
  }

  async function stop(graceMs: number): Promise<void> {
    tail.stopping = true;
    tail.links.goaway();
    const deadline = Date.now() + graceMs;
    // The port stays open meanwhile: a load balancer shall read 503 from /readyz, not guess from refused connections.
    while (tail.inFlight > 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 10));
    const left = () => Math.max(0, deadline - Date.now());
    // And for a moment more: who has just got an answer and asks again is told to go elsewhere, rather than cut off.
    const settle = new Promise((done) => setTimeout(done, Math.min(SETTLE_MS, left())));
    // Clients that have their answers go by themselves when they hear of the stop; the others have theirs sent first.
    await Promise.all([settle, tail.links.close(Math.min(200, left()))]);
    await Promise.all([listening.stop(left()), grpc?.close(left())]);
    await udp?.close();
    await closeWork();
  }

  let closing: Promise<void> | undefined;
  return {
    url: listening.url,
    port: listening.port,
    get webTransport() {
      return tail.webTransport;
    },
    async renewCertificate(tls) {
      if (!options.tls)
        throw new IsthmusError('OPTION_INVALID', 'This tail has been started without a certificate.');
      checkTls(tls);
      listening.renew(tls);
      await offerWebTransport(tls);
    },
    grpcPort: grpc?.port,
    get models() {
      return [...store.registry.models.keys()];
    },
    reload: () => store.reload(),
    app,
    close({ graceMs = 10_000 } = {}) {
      closing ??= stop(graceMs);
      return closing;
    },
  };
}

async function openGrpc(
  tail: TailContext,
  { grpcPort, host = '127.0.0.1', tls }: TailServerOptions,
): Promise<GrpcServer | undefined> {
  return grpcPort === undefined ? undefined : startGrpc(tail, { port: grpcPort, host, tls });
}

function logReload({ loaded, retired, broken }: ReloadReport, log: TailLogger): void {
  for (const { folder, error } of broken) log.warn({ folder, code: error.code }, error.message);
  if (loaded.length + retired.length > 0) log.info({ loaded, retired }, 'models');
}

/** Sizes that /metrics shows at the moment it is asked. */
function showSizes(tail: TailContext): void {
  const { metrics, bodies } = tail;
  metrics.gauge('in_flight_requests', 'Requests that are being answered', () => tail.inFlight);
  metrics.gauge('held_bytes', 'Bytes of bodies and of what was unpacked from them', () => bodies.held);
  metrics.gauge(
    'kept_feature_bytes',
    'Bytes of features that clients asked to keep',
    () => tail.features.bytes,
  );
  metrics.gauge('models', 'Models that are served', () => tail.registry.models.size);
  metrics.gauge('queued_requests', 'Requests that wait for a thread', () => tail.threads.waiting);
  const links = () => ({
    websocket: tail.links.count('websocket'),
    webtransport: tail.links.count('webtransport'),
    http: tail.links.count('http'),
  });
  metrics.gauge('open_links', 'Links that are open', links, 'transport');
  metrics.gauge('stopping', '1 once the tail is stopping', () => Number(tail.stopping));
}

const SILENT: TailLogger = { info() {}, warn() {}, error() {} };
