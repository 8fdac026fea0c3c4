// What every route of the tail shares: the models, the backend, limits and the state of the server. No behaviour here.
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { ByteBudget } from './http/readBody.ts';
import type { FeatureCache } from './infer/featureCache.ts';
import type { LinkLimits } from './link/linkLimits.ts';
import type { Links } from './link/links.ts';
import type { Registry } from './models/registry.ts';
import type { Gate, Permit, Subject } from './operate/gate.ts';
import type { TailMetrics } from './operate/metrics.ts';
import type { TailBackend } from './run/backend.ts';
import type { Threads } from './run/threads.ts';

/** The part of pino's interface that the tail uses; `logger` of createTailServer may be any object like it. */
export interface TailLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

interface TailLimits {
  /** Largest frame in bytes. */
  frameBytes: number;
  /** Largest encoded picture in bytes, where the picture itself is the body. */
  pictureBytes: number;
  /** Largest picture in pixels, width times height. */
  picturePixels: number;
}

export interface TailContext {
  registry: Registry;
  backend: TailBackend;
  /** For pictures; the backend may use them too, or be elsewhere. */
  threads: Threads;
  limits: TailLimits;
  /** Bytes of request bodies, and of features unpacked from them, that may be held at once, over all requests. */
  bodies: ByteBudget;
  /** Features that clients asked to keep. */
  features: FeatureCache;
  log: TailLogger;
  /** Who may come in, and how often. */
  gate: Gate;
  metrics: TailMetrics;
  /** Set once by close(): new work is refused, work that has begun is finished. */
  stopping: boolean;
  /** Requests that are being answered. */
  inFlight: number;
  /** Links that are open. */
  links: Links;
  /** Where they differ from LINK_LIMITS. */
  linkLimits?: Partial<LinkLimits>;
  /** Where WebTransport is, when it is offered; hashes for certificates that browsers would not trust by themselves. */
  webTransport?: { port: number; certificateHashes: readonly string[] };
}

/** What went to a client. */
export interface Sent {
  bytes: number;
  /** What broke it off, if anything did. */
  thrown?: unknown;
}

/** Hono's types for our handlers. `Bindings` is empty when a test calls `app.request` without a socket. */
export interface TailEnv {
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    /** Whose request it is, once the gate has let it in. */
    subject?: Subject;
    /** The same with what a link keeps of it. */
    permit?: Permit;
    /** Bytes of the body, for the log. */
    bytesIn?: number;
    /** Where answers follow this one: what they have come to, once the last is out. Never rejects. */
    rest?: Promise<Sent>;
    /** Set when the client speaks frames, so that errors go out as frames too: the model tag to put on them. */
    frameTag?: string;
    /** Code of the error that was answered, for the log. */
    errorCode?: string;
  };
}

export type TailHandlerContext = Context<TailEnv>;
