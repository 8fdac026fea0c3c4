// `isthmus/tail`: the server half. Puts registry, backend, application and socket together and takes them down again
// in order. Signals, exit codes and printing belong to the command line (src/cli/serve.ts).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { IsthmusError } from '../errors.ts';
import { MAX_PICTURE_PIXELS } from '../image/limits.ts';
import type { TailContext, TailLogger } from './context.ts';
import { createApp } from './http/app.ts';
import { ByteBudget } from './http/readBody.ts';
import { createFeatureCache } from './infer/featureCache.ts';
import { Links } from './link/links.ts';
import { webSocketLinks } from './link/webSocketLinks.ts';
import { listenWebTransport, type WebTransportListening } from './link/webTransportLinks.ts';
import { certificateHashes, checkTls, type TlsOptions } from './listen/certificate.ts';
import { listen } from './listen/listen.ts';
import { openModels, type ReloadReport } from './models/modelStore.ts';
import { type GrpcServer, startGrpc } from './oip/grpcServer.ts';
import { createGate } from './operate/createGate.ts';
import { usualHosts } from './operate/hosts.ts';
import { createMetrics } from './operate/prometheus.ts';
import { createOrtBackend } from './run/ortBackend.ts';
import { createThreads } from './run/threads.ts';
import { warmUp } from './run/warmUp.ts';
import type { TailServer, TailServerOptions } from './types.ts';

export { createOipBackend, type OipBackendOptions } from './oip/oipBackend.ts';
export { createGate, type GateOptions, type ReloadableGate } from './operate/createGate.ts';
export type { TailServer, TailServerOptions } from './types.ts';

const MIB = 1024 * 1024;
const SETTLE_MS = 100;
const LOCAL = '127.0.0.1';

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
  const gate =
    options.gate ?? (await createGate({ origins: options.cors, hosts: usualHosts(options.host ?? LOCAL) }));
  const prometheus = createMetrics();
  const requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
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
    bodies: new ByteBudget(options.maxHeldBytes ?? 512 * MIB),
    features: createFeatureCache(options.features),
    log,
    gate,
    metrics: prometheus,
    stopping: false,
    inFlight: 0,
    links: new Links({ most: options.maxLinks, perAddress: options.maxLinksPerAddress }),
    linkLimits: { messageMs: requestTimeoutMs, ...options.linkLimits },
  };
  showSizes(tail);
  const app = createApp(tail, { ...options, prometheus });
  const host = options.host ?? LOCAL;
  const listening = await listen(app.fetch, {
    port: options.port ?? 8787,
    host,
    tls: options.tls,
    upgrade: webSocketLinks(tail),
    largestBody: Math.max(limits.frameBytes, limits.pictureBytes),
    headersTimeoutMs: options.headersTimeoutMs ?? 10_000,
    requestTimeoutMs,
    maxConnections: options.maxConnections,
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
      grpc?.renew(tls);
      await offerWebTransport(tls);
    },
    grpcPort: grpc?.port,
    get models() {
      return [...store.registry.models.keys()];
    },
    reload() {
      tail.links.review(); // a gate has often changed by then
      return store.reload();
    },
    app,
    close({ graceMs = 10_000 } = {}) {
      closing ??= stop(graceMs);
      return closing;
    },
  };
}

async function openGrpc(
  tail: TailContext,
  { grpcPort, host = LOCAL, requestTimeoutMs = 60_000, tls }: TailServerOptions,
): Promise<GrpcServer | undefined> {
  return grpcPort === undefined
    ? undefined
    : startGrpc(tail, { port: grpcPort, host, requestTimeoutMs, tls });
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
