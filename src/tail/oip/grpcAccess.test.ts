// Who may call over gRPC, and over what: tokens in the metadata, models a token is not for, TLS.
import { connect } from 'node:http2';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { createGate } from '../index.ts';
import { testModels, wave } from '../testModels.fixture.ts';
import { testCertificate, testTails } from '../testTails.fixture.ts';
import type { ProtoResponse } from './messages.ts';
import { callOip, failure, oipClient, tinyRequest } from './oipClient.fixture.ts';

const { dir } = await testModels();
const { start, end } = testTails({ models: dir, grpcPort: 0 });
afterEach(end);

/** Scores of two samples, as raw bytes. */
const scores = ({ raw_output_contents: raw }: ProtoResponse) => raw!.map((bytes) => bytes.length);

test('tokens in the metadata, and models a token is not for', async () => {
  const tokens = [
    { subject: 'all', token: 'a'.repeat(32) },
    { subject: 'slow', token: 'b'.repeat(32), models: ['slow'] },
  ];
  const closed = await start({ gate: await createGate({ tokens }) });
  const other = oipClient(closed.grpcPort!);
  const ask = (authorization?: string) =>
    callOip<ProtoResponse>(other, 'ModelInfer', tinyRequest(wave(384)), {
      ...(authorization && { headers: { authorization } }),
    });
  expect(scores(await ask(`Bearer ${'a'.repeat(32)}`))).toEqual([24]);
  expect((await failure(ask())).code).toBe(status.UNAUTHENTICATED);
  expect((await failure(ask('Bearer wrong'))).code).toBe(status.UNAUTHENTICATED);
  expect((await failure(ask(`Bearer ${'b'.repeat(32)}`))).code).toBe(status.PERMISSION_DENIED);
  expect(await callOip(other, 'ServerReady', {})).toEqual({ ready: true });
  expect((await failure(callOip(other, 'ModelMetadata', { name: 'tiny' }))).code).toBe(
    status.UNAUTHENTICATED,
  );
  const rest = await fetch(`${closed.url}/v2/models/tiny`);
  expect([rest.status, rest.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  other.close();
});

test('nothing is read of a call without a token, and a message that does not come is not waited for', async () => {
  const gate = await createGate({ tokens: [{ subject: 'all', token: 'a'.repeat(32) }] });
  const server = await start({ gate, requestTimeoutMs: 300 });
  const session = connect(`http://127.0.0.1:${server.grpcPort}`);
  /** Half of a message; resolves with the status that comes nevertheless. */
  const half = (token: string) =>
    new Promise<unknown>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/inference.GRPCInferenceService/ModelInfer',
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: `Bearer ${token}`,
      });
      stream.on('response', (headers) => resolve(headers['grpc-status'])).on('error', reject);
      stream.write(Buffer.from([0, 0, 0, 1, 0, 8]));
    });
  expect(await half('wrong')).toBe(String(status.UNAUTHENTICATED));
  expect(await half('a'.repeat(32))).toBe(String(status.DEADLINE_EXCEEDED));
  session.destroy();
});

test('with a certificate gRPC speaks TLS', async () => {
  const { cert, key } = await testCertificate();
  const secure = await start({ tls: { cert, key }, webTransport: false });
  const trusting = new Client(`localhost:${secure.grpcPort}`, credentials.createSsl(Buffer.from(cert)));
  const reply = await callOip(trusting, 'ModelInfer', tinyRequest(wave(384)));
  expect(scores(reply)).toEqual([24]);
  // As on SIGHUP: who trusts only the new certificate gets in.
  const renewed = await testCertificate();
  await secure.renewCertificate({ cert: renewed.cert, key: renewed.key });
  const later = new Client(`localhost:${secure.grpcPort}`, credentials.createSsl(Buffer.from(renewed.cert)));
  expect(await callOip(later, 'ServerLive', {})).toEqual({ live: true });
  const plain = oipClient(secure.grpcPort!);
  expect((await failure(callOip(plain, 'ServerLive', {}))).code).toBe(status.UNAVAILABLE);
  for (const client of [trusting, later, plain]) client.close();
});
