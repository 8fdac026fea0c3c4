// Links over real WebTransport sessions (QUIC on loopback) to the real tail: the stream, datagrams with losses, cancels,
// and the choice between all kinds.
import { WebTransport as NodeWebTransport } from 'rwebtransport';
import { afterAll, afterEach, expect, test } from 'vitest';
import { rawTensor, testModels, tinyFrame } from '../tail/testModels.fixture.ts';
import { testCertificate, testTails } from '../tail/testTails.fixture.ts';
import { readFrame } from '../wire/readFrame.ts';
import type { DatagramUse } from './datagramSender.ts';
import { until } from './linkServer.fixture.ts';
import { makeTransport, type TransportChoice } from './makeTransport.ts';
import type { Transport } from './transport.ts';
import type { WebTransportClass } from './webtransport.ts';

const WebTransport = NodeWebTransport as unknown as WebTransportClass;
const models = await testModels();
let logged: { code?: string; transport?: string }[] = [];
const open: Transport[] = [];

const log = (fields: object) => void logged.push(fields);
const { start, end } = testTails({ models: models.dir, logger: { info: log, warn: log, error: log } }, 500);
const startTail = async (port = 0) => start({ port, tls: await testCertificate() });
let tail = await startTail();
afterAll(end);
afterEach(async () => {
  for (const transport of open.splice(0)) await transport.close();
});

/** Discovery goes by plain HTTP, which the tail answers on loopback: fetch of Node has no certificate hashes. */
function transportTo(choice: TransportChoice, datagrams: DatagramUse, Class = WebTransport): Transport {
  const base = tail.url.replace('https:', 'http:');
  const transport = makeTransport(choice, {
    ...{ base, model: `${base}/models/tiny`, datagrams },
    webTransport: Class,
  });
  open.push(transport);
  return transport;
}

/** A session some of whose datagrams are lost on the way. */
function losing(lost: (n: number) => boolean) {
  const sent = { all: 0, lost: 0 };
  class Losing extends NodeWebTransport {
    constructor(...args: ConstructorParameters<typeof NodeWebTransport>) {
      super(...args);
      const writer = this.datagrams.writable.getWriter();
      Object.defineProperty(this.datagrams, 'writable', {
        value: new WritableStream<Uint8Array>({
          write(datagram) {
            if (!lost(sent.all++)) return writer.write(datagram);
            sent.lost++;
          },
        }),
      });
    }
  }
  return { sent, Class: Losing as unknown as WebTransportClass };
}

const ok = (frame: Uint8Array) => expect(readFrame(frame)).toMatchObject({ kind: 'reply', cut: 0 });
/** 21 kB, which is 18 datagrams. */
const large = () => tinyFrame(models.tiny, { meta: { note: 'n'.repeat(20_000) } });

test('requests side by side over one stream', async () => {
  const transport = transportTo('webtransport', 'never');
  await transport.warm?.();
  const answers = await Promise.all(Array.from({ length: 20 }, () => transport.send(tinyFrame(models.tiny))));
  for (const { frame, via, timings } of answers) {
    ok(frame);
    expect(via).toBe('webtransport');
    expect(timings.firstByte).toBeGreaterThan(0);
  }
  ok((await transport.send(large())).frame);
  expect(
    logged.filter((l) => l.transport === 'webtransport' && l.code === 'ok').length,
  ).toBeGreaterThanOrEqual(21);
});

test('datagrams, none lost: requests beside others travel by them, one alone does not', async () => {
  const { sent, Class } = losing(() => false);
  const transport = transportTo('webtransport', 'auto', Class);
  const frame = large();
  ok((await transport.send(frame)).frame);
  expect(sent.all).toBe(0);
  const answers = await Promise.all([1, 2, 3, 4].map(() => transport.send(frame)));
  for (const answer of answers) ok(answer.frame);
  expect(sent.all).toBeGreaterThanOrEqual(3 * 18);
  expect(sent.all).toBeLessThan(4 * 18);
});

test.each([
  ['each fifth', (n: number) => n % 5 === 4],
  ['three of four', (n: number) => n % 4 !== 0],
])('datagrams, %s lost: all requests are answered all the same', async (_, lost) => {
  const { sent, Class } = losing(lost);
  const transport = transportTo('webtransport', 'always', Class);
  await transport.warm?.();
  const answers = await Promise.all(Array.from({ length: 8 }, () => transport.send(large())));
  for (const { frame, via } of answers) {
    ok(frame);
    expect(via).toBe('webtransport');
  }
  expect(sent.lost).toBeGreaterThan(8);
  // What was lost travelled again.
  const size = large().byteLength;
  expect(answers.reduce((sum, { bytesUp }) => sum + bytesUp, 0)).toBeGreaterThan(8 * size + 1000);
});

test('datagrams that never arrive: the stream takes over, and auto leaves them alone afterwards', async () => {
  const { sent, Class } = losing(() => true);
  const transport = transportTo('webtransport', 'auto', Class);
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all([1, 2, 3].map(() => transport.send(large())));
    for (const answer of answers) ok(answer.frame);
  }
  expect(sent.all).toBeGreaterThanOrEqual(2 * 18);
  expect(sent.all).toBeLessThanOrEqual(4 * 18); // two rounds at most
});

test('an abort reaches the tail', async () => {
  const transport = transportTo('webtransport', 'auto');
  await transport.warm?.();
  const slow = () => {
    const one = rawTensor([1, 1], Float32Array.of(0.5));
    return tinyFrame(models.slow, { tensors: [one] });
  };
  logged = [];
  const stop = new AbortController();
  const first = transport.send(slow());
  const second = transport.send(slow(), { signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 30);
  await expect(second).rejects.toThrow('enough');
  await until(() => logged.some(({ code }) => code === 'ABORTED'));
  ok((await first).frame);
});

test('auto takes a link of the tail, and goes on after the tail was restarted with another certificate', async () => {
  const transport = transportTo('auto', 'auto');
  await transport.warm?.();
  ok((await transport.send(tinyFrame(models.tiny))).frame);
  await until(() => transport.kind !== 'fetch');
  expect((await transport.send(tinyFrame(models.tiny))).via).not.toBe('fetch');
  const { port } = tail;
  await tail.close({ graceMs: 500 });
  await until(() => transport.kind === 'fetch');
  tail = await startTail(port);
  ok((await transport.send(tinyFrame(models.tiny))).frame);
  await until(() => transport.kind !== 'fetch');
  ok((await transport.send(tinyFrame(models.tiny))).frame);
});
