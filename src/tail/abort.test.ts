// A client that gives its request up, on every way into the tail: the backend is told at once, and nothing stays in flight.
import { request } from 'node:http';
import { connect } from 'node:http2';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, expect, test } from 'vitest';
import { FRAME_TYPE } from '../wire/layout.ts';
import { writeMessage } from '../wire/message.ts';
import {
  ask,
  hello,
  type Open,
  openWebSocket,
  openWebTransport,
  steeredTails,
  until,
  welcomed,
} from './link/testLink.fixture.ts';
import { callOip, tinyRequest } from './oip/oipClient.fixture.ts';
import { rawTensor, testModels, tinyFrame, wave } from './testModels.fixture.ts';
import { figure, testCertificate } from './testTails.fixture.ts';

/** Longer than the test may take, so only the cancellation can end it. */
const LONG_MS = 100_000;
/** The promise is 100 ms; a machine that does other things needs more. */
const AT_ONCE_MS = 1000;

const { dir, tiny } = await testModels();
const tls = await testCertificate();
const tails = steeredTails({ models: dir, grpcPort: 0, metrics: 'public', tls }, 500);
const tail = await tails.start();
const { backend } = tails;
afterAll(tails.end);

function frame(id: number) {
  const feature = new Float32Array(256);
  feature.set([LONG_MS, id]);
  return tinyFrame(tiny, { tensors: [rawTensor([1, 4, 8, 8], feature)] });
}

const path = '/models/tiny/infer';
const type = { 'content-type': FRAME_TYPE };

/** Sends request `id`. @returns what gives it up */
type Send = (id: number) => Promise<() => void>;

const overHttp1: Send = async (id) => {
  const sent = request({ port: tail.port, host: '127.0.0.1', method: 'POST', path, headers: type });
  sent.on('error', () => undefined).end(frame(id));
  return () => sent.destroy();
};

const overHttp2: Send = async (id) => {
  const session = connect(tail.url, { rejectUnauthorized: false });
  const stream = session.request({ ':method': 'POST', ':path': path, ...type });
  stream.on('error', () => undefined).end(frame(id));
  return () => {
    stream.close(8); // CANCEL, as fetch does; the connection stays
    setTimeout(() => session.destroy(), 100);
  };
};

const overLink =
  (open: Open, giveUp: 'cancel' | 'close'): Send =>
  async (id) => {
    const link = await open(tail);
    link.send(hello());
    await welcomed(link);
    link.send(ask(tiny, id, LONG_MS));
    return () => (giveUp === 'close' ? link.close() : link.send(writeMessage('cancel', id)));
  };

const overGrpc: Send = async (id) => {
  const x = wave(192);
  x.set([LONG_MS, id]);
  const client = new Client(`localhost:${tail.grpcPort}`, credentials.createSsl(Buffer.from(tls.cert)));
  let cancel = () => {};
  callOip(client, 'ModelInfer', tinyRequest(x), {
    deadline: Date.now() + LONG_MS,
    started: (given) => {
      cancel = given;
    },
  }).catch(() => undefined);
  return () => {
    cancel();
    client.close();
  };
};

const WAYS: Record<string, Send> = {
  'HTTP/1.1': overHttp1,
  'HTTP/2': overHttp2,
  'WebSocket, cancelled': overLink(openWebSocket, 'cancel'),
  'WebSocket, closed': overLink(openWebSocket, 'close'),
  'WebTransport, cancelled': overLink(openWebTransport, 'cancel'),
  'WebTransport, closed': overLink(openWebTransport, 'close'),
  gRPC: overGrpc,
};

for (const [index, [way, send]] of Object.entries(WAYS).entries()) {
  test(`${way}: the work ends when its client gives it up`, async () => {
    const id = index + 1;
    const giveUp = await send(id);
    await until(() => backend.begun.some((work) => work.id === id), 'the backend to begin');
    expect(backend.cancelled.has(id)).toBe(false);
    const began = performance.now();
    giveUp();
    await until(() => backend.cancelled.has(id), 'the backend to be told');
    expect(backend.cancelled.get(id)! - began).toBeLessThan(AT_ONCE_MS);
    expect(backend.begun.filter((work) => work.id === id)).toHaveLength(1);
    // The question itself is one.
    for (let i = 0; (await figure(tail, 'in_flight_requests')) !== 1; i++) {
      expect(i).toBeLessThan(200);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
}
