// A tail with a full queue: refused before the body is there, on a connection that stays, and whole answers written at once.
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { FRAME_TYPE } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { createTailServer, type TailServer } from '../index.ts';
import { rawTensor, testModels, tinyFrame } from '../testModels.fixture.ts';
import { BytesResponse } from './bytesResponse.ts';

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
let tail: TailServer | undefined;
afterEach(async () => {
  agent.destroy();
  await tail?.close({ graceMs: 2000 });
});

async function whole(response: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

test('a full queue is said before the body has come, and the connection goes on', async () => {
  const { dir, tiny, slow } = await testModels();
  // Nobody may wait: whoever comes while a thread is asked is one too many.
  tail = await createTailServer({
    models: dir,
    port: 0,
    logger: false,
    threads: 1,
    maxQueue: 1,
    metrics: 'public',
  });
  const { port } = tail;
  const post = { agent, port, method: 'POST', path: '/models/tiny/infer' };
  const frame = tinyFrame(tiny);
  // The first holds the thread, with loading its segments too; the second is the one that may wait.
  const held = tinyFrame(slow, { tensors: [rawTensor([1, 1], Float32Array.of(0.001))] });
  const busy = [
    { name: 'slow', body: held },
    { name: 'tiny', body: frame },
  ].map(({ name, body }) =>
    fetch(`${tail!.url}/models/${name}/infer`, {
      method: 'POST',
      headers: { 'content-type': FRAME_TYPE },
      body,
    }),
  );
  while (!/^isthmus_queued_requests 1$/m.test(await (await tail.app.request('/metrics')).text()))
    await new Promise((resolve) => setImmediate(resolve));
  const sent = request({
    ...post,
    headers: { 'content-type': FRAME_TYPE, 'content-length': 4 * frame.byteLength },
  });
  sent.write(frame);
  const [refused] = await once(sent, 'response');
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '1']);
  expect(readFrame(await whole(refused)).meta.error?.code).toBe('OVERLOADED');
  const { localPort } = sent.socket!;
  for (let i = 0; i < 3; i++) sent.write(frame);
  sent.end();
  for (const response of await Promise.all(busy)) expect(response.status).toBe(200);
  const again = request({
    ...post,
    headers: { 'content-type': FRAME_TYPE, 'content-length': frame.byteLength },
  });
  again.end(frame);
  const [answered] = await once(again, 'response');
  expect(answered.statusCode).toBe(200);
  expect(readFrame(await whole(answered)).kind).toBe('reply');
  expect(again.socket!.localPort).toBe(localPort);
});

test('a response of bytes is like any other where there is no socket', async () => {
  const made = (whole: Uint8Array<ArrayBuffer> | string) => new BytesResponse(whole, { status: 418 });
  expect([await made('ä').text(), made('ä').headers.get('content-length'), made('ä').status]).toEqual([
    'ä',
    '2',
    418,
  ]);
  expect(await made('[1]').json()).toEqual([1]);
  const bytes = Uint8Array.of(1, 2, 3);
  expect(new Uint8Array(await made(bytes).arrayBuffer())).toEqual(bytes);
  expect(await made(bytes).bytes()).toEqual(bytes);
  const read = made(bytes);
  expect([read.bodyUsed, (await read.clone().blob()).size]).toEqual([false, 3]);
  await new Response(read.body).arrayBuffer();
  expect(read.bodyUsed).toBe(true);
});
