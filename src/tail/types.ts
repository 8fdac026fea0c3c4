// The types of `isthmus/tail`: what a tail server is made of, and what one can do with it. No behaviour here.
import type { Hono } from 'hono';
import type { TailEnv, TailLogger } from './context.ts';
import type { MetricsAccess } from './http/metricsRoutes.ts';
import type { FeatureCacheOptions } from './infer/featureCache.ts';
import type { LinkLimits } from './link/linkLimits.ts';
import type { TlsOptions } from './listen/certificate.ts';
import type { ReloadReport } from './models/modelStore.ts';
import type { Gate } from './operate/gate.ts';
import type { TailBackend } from './run/backend.ts';

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
  /** Bytes that all requests together may hold, in bodies and in what is unpacked from them, default 512 MiB. */
  maxHeldBytes?: number;
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
  /** TCP connections that may be open, default 8192; more are dropped. */
  maxConnections?: number;
  /** Links that may be open in all (default 2048) and of one address (default 256); more are answered 503. */
  maxLinks?: number;
  maxLinksPerAddress?: number;
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
