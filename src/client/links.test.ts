// Sessions over every transport to the real tail: the same answer, a report that names its way, deadlines and priorities
// that reach the tail, and a tail that is restarted under the session.
import { WebTransport as NodeWebTransport } from 'rwebtransport';
import { expect, test } from 'vitest';
import { connect } from '../index.node.ts';
import type { InferOptions, TailBackend } from '../tail/run/backend.ts';
import { createOrtBackend } from '../tail/run/ortBackend.ts';
import { createThreads } from '../tail/run/threads.ts';
import { testCertificate } from '../tail/testTails.fixture.ts';
import type { WebTransportClass } from '../transport/webtransport.ts';
import type { Result } from './resultTypes.ts';
import { servedTiny } from './served.fixture.ts';
import type { ConnectOptions } from './types.ts';

const webTransport = NodeWebTransport as unknown as WebTransportClass;
/** What the backend was asked with, the latest last. */
const asked: InferOptions[] = [];

/** onnxruntime, and a note of every request. */
function noting(): TailBackend {
  const threads = createThreads({ threads: 1 });
  const ort = createOrtBackend(threads);
  return {
    infer(...all) {
      asked.push(all[3]);
      return ort.infer(...all);
    },
    async close() {
      await ort.close();
      await threads.close();
    },
  };
}

const tls = await testCertificate();
const { tail, startTail, photo, address: secure } = await servedTiny({ tls, backend: noting() });

/** Plain HTTP, which the tail answers on loopback: the certificate is known to WebTransport only, by its hash. */
const address = secure.replace('https:', 'http:');
const logits = ({ outputs }: Result) => [...(outputs.logits!.data as Float32Array)];

test('the same answer over every transport, and the report says which', async () => {
  const answers = new Map<string, number[]>();
  for (const [transport, datagrams] of [
    ['fetch', 'auto'],
    ['websocket', 'auto'],
    ['webtransport', 'never'],
    ['webtransport', 'always'],
  ] as const) {
    const options: ConnectOptions = { mode: 'only-split', transport, datagrams, webTransport };
    await using session = await connect(address, options);
    const result = await session.run(photo);
    expect(result.report).toMatchObject({ ran: 'split', transport });
    answers.set(`${transport} ${datagrams}`, logits(result));
  }
  const [first, ...others] = answers.values();
  for (const other of others) expect(other).toEqual(first);
  await using session = await connect(address, { mode: 'only-remote', transport: 'websocket' });
  expect((await session.run(photo)).report).toMatchObject({ ran: 'remote', transport: 'websocket' });
  const local = await session.run(photo, { mode: 'only-local' });
  expect(local.report.transport).toBeUndefined();
});

test.each(['fetch', 'websocket', 'webtransport'] as const)(
  '%s: deadline and priority reach the tail',
  async (transport) => {
    await using session = await connect(address, { mode: 'only-split', transport, webTransport });
    for (const [priority, urgency] of [
      ['high', 1],
      ['low', 5],
      [undefined, 3],
    ] as const) {
      const began = Date.now();
      await session.run(photo, { deadlineMs: 20_000, ...(priority && { priority }) });
      const { urgency: got = 3, deadline } = asked.at(-1)!;
      expect(got, priority).toBe(urgency);
      expect(deadline).toBeGreaterThan(began);
      expect(deadline).toBeLessThan(Date.now() + 20_000);
    }
    await session.run(photo);
    expect(asked.at(-1)!.deadline).toBeUndefined();
  },
);

test('a wrong transport, priority or use of datagrams is an option that is wrong', async () => {
  const wrong = { code: 'OPTION_INVALID' };
  await expect(connect(address, { transport: 'pigeon' as 'fetch' })).rejects.toMatchObject(wrong);
  await expect(connect(address, { datagrams: 'some' as 'auto' })).rejects.toMatchObject(wrong);
  await using session = await connect(address, { mode: 'only-remote', transport: 'fetch' });
  await expect(session.run(photo, { priority: 'urgent' as 'high' })).rejects.toMatchObject(wrong);
});

test('a kind that the platform lacks is refused when connecting, where nothing else could answer', async () => {
  for (const mode of ['only-split', 'only-remote'] as const) {
    await expect(connect(address, { mode, transport: 'webtransport' })).rejects.toMatchObject({
      code: 'OFFLINE',
      message: expect.stringMatching(/No webtransport is possible.*transport: 'auto'/),
    });
  }
  await using session = await connect(address, { mode: 'prefer-split', transport: 'webtransport' });
  expect((await session.run(photo)).report).toMatchObject({
    ran: 'local',
    degraded: expect.stringMatching(/^OFFLINE: No webtransport is possible/),
  });
  await using home = await connect(address, { mode: 'only-local', transport: 'webtransport' });
  expect((await home.run(photo)).report.ran).toBe('local');
});

test('a tail that is restarted under the session: every run is answered, at last over a link again', async () => {
  await using session = await connect(address, { mode: 'prefer-split', webTransport });
  const ways = new Set<string>();
  const run = async () => {
    const { report } = await session.run(photo);
    ways.add(report.transport ?? report.ran);
    return report;
  };
  const linked = async () => {
    const end = Date.now() + 15_000;
    for (;;) {
      const { transport = 'fetch' } = await run();
      if (transport !== 'fetch') return;
      if (Date.now() > end) throw new Error('no link within 15 seconds');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await linked();
  const { port } = tail;
  const running = [run(), run(), run()];
  await tail.close({ graceMs: 2000 });
  await Promise.all(running); // there or, where the tail was gone before the feature was ready, here
  expect((await run()).ran).toBe('local');
  await startTail({ port, backend: noting() });
  await linked();
  expect(ways.has('local')).toBe(true);
});
