// Who may call over gRPC, and over what: tokens in the metadata, models a token is not for, TLS.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, status } from '@grpc/grpc-js';
import { beforeAll, expect, test } from 'vitest';
import { createGate, createTailServer } from '../index.ts';
import { makeDevCertificate } from '../listen/devCertificate.ts';
import { testModels, wave } from '../testModels.fixture.ts';
import type { ProtoResponse } from './messages.ts';
import { callOip, failure, oipClient, tinyRequest } from './oipClient.fixture.ts';

let dir: string;

beforeAll(async () => {
  ({ dir } = await testModels());
});

/** Scores of two samples, as raw bytes. */
const scores = ({ raw_output_contents: raw }: ProtoResponse) => raw!.map((bytes) => bytes.length);

test('tokens in the metadata, and models a token is not for', async () => {
  const tokens = [
    { subject: 'all', token: 'a'.repeat(32) },
    { subject: 'slow', token: 'b'.repeat(32), models: ['slow'] },
  ];
  const closed = await createTailServer({
    models: dir,
    port: 0,
    grpcPort: 0,
    logger: false,
    threads: 1,
    gate: await createGate({ tokens }),
  });
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
  await closed.close();
});

test('with a certificate gRPC speaks TLS', async () => {
  const { cert, key } = await makeDevCertificate(await mkdtemp(join(tmpdir(), 'isthmus-grpc-')));
  const secure = await createTailServer({
    ...{ models: dir, port: 0, grpcPort: 0, logger: false, threads: 1 },
    ...{ tls: { cert, key }, webTransport: false },
  });
  const trusting = new Client(`localhost:${secure.grpcPort}`, credentials.createSsl(Buffer.from(cert)));
  const reply = await callOip(trusting, 'ModelInfer', tinyRequest(wave(384)));
  expect(scores(reply)).toEqual([24]);
  const plain = oipClient(secure.grpcPort!);
  expect((await failure(callOip(plain, 'ServerLive', {}))).code).toBe(status.UNAVAILABLE);
  for (const client of [trusting, plain]) client.close();
  await secure.close();
});
