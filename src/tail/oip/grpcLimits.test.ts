// What calls over gRPC may hold and for how long, and what a closed gate tells of models that are not the caller's.
import { type ClientHttp2Session, connect } from 'node:http2';
import { type Client, type ClientDuplexStream, type MethodDefinition, status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { createGate, type TailServer, type TailServerOptions } from '../index.ts';
import { steeredTails, until } from '../link/testLink.fixture.ts';
import { openGate } from '../operate/gate.ts';
import { testModels, wave } from '../testModels.fixture.ts';
import { figure } from '../testTails.fixture.ts';
import type { ProtoRequest, ProtoStreamResponse } from './messages.ts';
import { callOip, failure, oipClient, tinyRequest } from './oipClient.fixture.ts';
import { inferenceService } from './protocol.ts';

const { dir } = await testModels();
const tails = steeredTails({ models: dir, grpcPort: 0, metrics: 'public' });
const clients: Client[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await tails.end();
});

async function start(
  options: Partial<TailServerOptions> = {},
): Promise<{ tail: TailServer; client: Client }> {
  const tail = await tails.start(options);
  const client = oipClient(tail.grpcPort!);
  clients.push(client);
  return { tail, client };
}

type Stream = ClientDuplexStream<ProtoRequest, ProtoStreamResponse>;

/** A stream, its answers, and the status that ends it. */
function stream(client: Client): { call: Stream; answers: ProtoStreamResponse[]; ended: Promise<number> } {
  const { path, requestSerialize, responseDeserialize } =
    inferenceService.ModelStreamInfer as MethodDefinition<ProtoRequest, ProtoStreamResponse>;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const answers: ProtoStreamResponse[] = [];
  call.on('data', (answer) => answers.push(answer)).on('error', () => undefined);
  const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));
  return { call, answers, ended };
}

const held = (tail: TailServer) => figure(tail, 'held_bytes');

/** Of `tiny`, taking `ms`. */
function request(ms: number): ProtoRequest {
  const x = wave(192);
  x[0] = ms;
  return tinyRequest(x);
}

test('messages count from when they are here, also those that wait for their turn', async () => {
  let admit = () => {};
  const turn = new Promise<void>((resolve) => {
    admit = resolve;
  });
  const { tail, client } = await start({ gate: { ...openGate, admit: () => turn } });
  const unary = callOip(client, 'ModelInfer', request(0));
  const { call, answers } = stream(client);
  for (let i = 0; i < 3; i++)
    call.write({ ...request(0), parameters: { sequence_id: { int64_param: '5' } } });
  const bytes = 2 * 192 * 4;
  for (let i = 0; (await held(tail)) !== 4 * bytes; i++) {
    expect(i).toBeLessThan(200);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  admit();
  await unary;
  await until(() => answers.length === 3, 'three answers');
  expect(await held(tail)).toBe(0);
  call.end();
});

/** A call that has sent `bytes` of a message of `of` and then says nothing more; told of its status. */
function halfWay(session: ClientHttp2Session, bytes: number, of: number): Promise<string> {
  const call = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const piece = Buffer.alloc(5 + bytes);
  piece.writeUInt32BE(of, 1);
  call.write(piece);
  return new Promise((resolve) => {
    call.on('response', (headers) => resolve(String(headers['grpc-status'])));
    call.on('error', () => undefined).on('close', () => resolve('none'));
  });
}

test('half a message counts while it is not whole, and is let go with its call', async () => {
  const { tail, client } = await start({ requestTimeoutMs: 1500 });
  const session = connect(`http://127.0.0.1:${tail.grpcPort}`);
  const calls = [1, 2, 3].map(() => halfWay(session, 300_000, 400_000));
  for (let i = 0; (await held(tail)) < 900_000; i++) {
    expect(i).toBeLessThan(100);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(await held(tail)).toBeLessThan(900_100);
  await callOip(client, 'ModelInfer', request(0));
  const late = String(status.DEADLINE_EXCEEDED);
  expect(await Promise.all(calls)).toEqual([late, late, late]);
  for (let i = 0; (await held(tail)) > 0; i++) {
    expect(i).toBeLessThan(100);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  session.destroy();
});

test('when the budget is spent, calls in the middle of their message are refused and closed', async () => {
  const { tail } = await start({ maxHeldBytes: 1_000_000 });
  const session = connect(`http://127.0.0.1:${tail.grpcPort}`);
  const kept = [1, 2].map(() => halfWay(session, 400_000, 500_000));
  for (let i = 0; (await held(tail)) < 800_000; i++) {
    expect(i).toBeLessThan(100);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(await halfWay(session, 400_000, 500_000)).toBe(String(status.UNAVAILABLE));
  expect(await held(tail)).toBeLessThanOrEqual(800_010);
  session.destroy();
  expect(await Promise.all(kept)).toEqual(['none', 'none']);
});

test('a stream on which nothing happens is ended, one that works is not', async () => {
  const { client } = await start({ linkLimits: { idleMs: 400 } });
  const [idle, busy] = [stream(client), stream(client)];
  busy.call.write(request(1500));
  const began = performance.now();
  expect(await idle.ended).toBe(status.DEADLINE_EXCEEDED);
  expect(performance.now() - began).toBeLessThan(1400);
  await until(() => busy.answers.length === 1, 'its answer');
  expect(busy.answers[0]!.error_message).toBe('');
  expect(await busy.ended).toBe(status.DEADLINE_EXCEEDED);
});

test('a connection has 64 calls at once', async () => {
  const { tail } = await start();
  const session = connect(`http://127.0.0.1:${tail.grpcPort}`);
  const settings = await new Promise<{ maxConcurrentStreams?: number }>((resolve) =>
    session.once('remoteSettings', resolve),
  );
  expect(settings.maxConcurrentStreams).toBe(64);
  session.destroy();
});

test('behind a gate no error names models, versions or cuts that are none of the caller', async () => {
  const token = 'a'.repeat(32);
  const gate = await createGate({ tokens: [{ subject: 'lab', token, models: ['tiny'] }] });
  const { tail, client } = await start({ gate });
  const headers = { authorization: `Bearer ${token}` };
  for (const [name, wanted, code] of [
    ['none', 404, status.NOT_FOUND],
    ['none@stem', 404, status.NOT_FOUND],
    ['slow@none', 403, status.PERMISSION_DENIED],
    ['slow/versions/none', 403, status.PERMISSION_DENIED],
  ] as const) {
    const response = await fetch(`${tail.url}/v2/models/${name}`, { headers });
    expect([name, response.status]).toEqual([name, wanted]);
    expect(await response.text()).not.toMatch(/It has|Its cuts|slow_/);
    const [model, version = ''] = name.split('/versions/');
    const failed = await failure(callOip(client, 'ModelMetadata', { name: model, version }, { headers }));
    expect([name, failed.code]).toEqual([name, code]);
    expect(failed.details).not.toMatch(/It has|Its cuts|slow_/);
  }
  const open = await start();
  expect(await (await fetch(`${open.tail.url}/v2/models/none`)).text()).toContain('It has: ');
});
