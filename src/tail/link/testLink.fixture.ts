// Clients of links for the tests of this folder: they send what they are told to, right or wrong, over real sockets, and
// keep what comes back. Also the backend that the tests steer. Not part of the published package.
import { WebTransport } from 'rwebtransport';
import { afterEach, expect } from 'vitest';
import { WebSocket } from 'ws';
import type { Manifest } from '../../model/manifest.ts';
import { type Message, MessageReader, readMessage, writeMessage } from '../../wire/message.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { TailServer } from '../index.ts';
import type { InferOptions, TailBackend } from '../run/backend.ts';
import { rawTensor, testModels, tinyFrame } from '../testModels.fixture.ts';
import { figure, type TestTails, testTails } from '../testTails.fixture.ts';

export interface TestLink {
  send(bytes: Uint8Array): void;
  datagram(bytes: Uint8Array): Promise<void>;
  /** All that came, in order. */
  readonly inbox: Message[];
  /** Resolves with its reason when the link has ended. */
  readonly ended: Promise<{ code: number; reason: string }>;
  close(): void;
}

export type Open = (tail: TailServer, options?: { origin?: string; path?: string }) => Promise<TestLink>;

/** Generous: two cores may be busy with other things. */
const PATIENCE_MS = 15_000;

export async function until<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; ; ) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const openWebSocket: Open = async (tail, { origin, path = '/link' } = {}) => {
  const socket = new WebSocket(`${tail.url.replace('http', 'ws')}${path}`, 'isthmus.1', {
    rejectUnauthorized: false,
    ...(origin && { origin }),
  });
  const inbox: Message[] = [];
  socket.on('message', (data: Buffer) => inbox.push(readMessage(new Uint8Array(data))));
  const ended = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  await new Promise<void>((resolve, reject) => socket.on('open', resolve).on('error', reject));
  socket.on('error', () => undefined);
  return {
    inbox,
    ended,
    send: (bytes) => socket.send(bytes),
    datagram: () => Promise.reject(new Error('no datagrams here')),
    close: () => socket.terminate(),
  };
};

export const openWebTransport: Open = async (tail, { origin, path = '/link' } = {}) => {
  const { port, certificateHashes } = tail.webTransport!;
  const session = new WebTransport(`https://127.0.0.1:${port}${path}`, {
    serverCertificateHashes: certificateHashes.map((hash) => ({
      algorithm: 'sha-256',
      value: Buffer.from(hash, 'base64'),
    })),
    ...(origin && { origin }),
  });
  const ended = session.closed.then(
    ({ closeCode, reason }) => ({ code: closeCode, reason }),
    (error: Error) => ({ code: -1, reason: error.message }),
  );
  await session.ready;
  // A refused session may be gone before its first stream.
  const stream = await session.createBidirectionalStream().catch(() => undefined);
  const writer = stream?.writable.getWriter();
  writer?.closed.catch(() => undefined);
  const datagrams = session.datagrams.writable.getWriter();
  datagrams.closed.catch(() => undefined);
  const inbox: Message[] = [];
  void (async () => {
    const messages = new MessageReader();
    if (stream) for await (const chunk of stream.readable) inbox.push(...messages.push(chunk));
  })().catch(() => undefined);
  return {
    inbox,
    ended,
    send: (bytes) => void writer?.write(bytes).catch(() => undefined),
    datagram: (bytes) => datagrams.write(bytes),
    close: () => session.close(),
  };
};

export const hello = (ticket?: string) =>
  writeMessage('hello', 0, { body: Buffer.from(JSON.stringify({ version: 1, ...(ticket && { ticket }) })) });

/** A request of `tiny` that the steered backend answers after `ms`. */
export function ask(
  manifest: Manifest,
  id: number,
  ms = 0,
  options: { urgency?: number; deadlineMs?: number; filler?: number } = {},
): Uint8Array<ArrayBuffer> {
  const feature = new Float32Array(256);
  feature[0] = ms;
  feature[1] = id;
  const meta = options.filler ? { filler: 'x'.repeat(options.filler) } : {};
  const frame = tinyFrame(manifest, { tensors: [rawTensor([1, 4, 8, 8], feature)], meta });
  return writeMessage('request', id, { body: frame, ...options });
}

/** Replies to the request, as frames. */
export const repliesTo = (link: TestLink, id: number) =>
  link.inbox.filter((m) => m.type === 'reply' && m.id === id).map((m) => readFrame(m.body));

export const replyTo = (link: TestLink, id: number) =>
  until(() => repliesTo(link, id)[0], `a reply to ${id}`);

/** The error that ended the link. */
export const lastWord = async (link: TestLink) => (await replyTo(link, 0)).meta.error!;

export const welcomed = (link: TestLink) =>
  until(() => link.inbox.find((m) => m.type === 'welcome'), 'the welcome');

/** A new client is served. */
export async function healthy(tail: TailServer, tiny: Manifest, open: Open = openWebSocket): Promise<void> {
  const link = await open(tail);
  link.send(hello());
  link.send(ask(tiny, 1));
  expect((await replyTo(link, 1)).kind).toBe('reply');
  link.close();
}

export interface SteeredBackend extends TailBackend {
  /** Ids and options of all requests that began, and the milliseconds until each was cancelled. */
  readonly begun: { id: number; options: InferOptions }[];
  readonly cancelled: Map<number, number>;
}

/** Waits as long as the feature says (ms in its first element), and gives up at once when it is cancelled. */
function steeredBackend(): SteeredBackend {
  const begun: SteeredBackend['begun'] = [];
  const cancelled = new Map<number, number>();
  return {
    begun,
    cancelled,
    async infer(_model, _first, tensors, options) {
      const feature = Object.values(tensors)[0]!.data as Float32Array;
      const [ms, id] = [feature[0]!, feature[1]!];
      begun.push({ id, options });
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, ms);
        options.signal?.addEventListener('abort', () => {
          clearTimeout(timer);
          cancelled.set(id, performance.now());
          reject(options.signal!.reason);
        });
      });
      const scores = { dtype: 'float32' as const, shape: [1, 3], data: Float32Array.of(id, ms, 7) };
      return { outputs: { scores }, timings: { queue: 0, tail: ms } };
    },
    close: () => Promise.resolve(),
  };
}

/** Tails that the test steers; `backend` is that of the one started last. */
export function steeredTails(
  ...usual: Parameters<typeof testTails>
): TestTails & { readonly backend: SteeredBackend } {
  const { start, end } = testTails(...usual);
  let backend = steeredBackend();
  return {
    get backend() {
      return backend;
    },
    start(options) {
      backend = steeredBackend();
      return start({ backend, ...options });
    },
    end,
  };
}

/** Tails that a test file's clients mean harm to: after each test they end, and none of them may have logged an error. */
export async function strictTails() {
  const problems: object[] = [];
  const logger = { info() {}, warn() {}, error: (fields: object) => void problems.push(fields) };
  const { dir, tiny } = await testModels();
  const { start, end } = steeredTails({ models: dir, logger, metrics: 'public' });
  afterEach(async () => {
    await end();
    expect(problems).toEqual([]);
  });
  return { tiny, start, held: (tail: TailServer) => figure(tail, 'held_bytes') };
}
