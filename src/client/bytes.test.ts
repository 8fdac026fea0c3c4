// What the report says that travelled, where the plan that answered is not the one that sent: uploads that were refused cost their
// user as much as those that were answered.
import { expect, test } from 'vitest';
import { tcpProxy } from '../../e2e/faults/tcpProxy.ts';
import { connect } from '../index.node.ts';
import { servedTiny } from './served.fixture.ts';

// It takes the smaller of two cuts only.
const { tail, address, photo } = await servedTiny({ maxBodyBytes: 700 });

test('a frame that the tail refused is counted, whoever answers then', async () => {
  await using session = await connect(address, { codec: 'raw', transport: 'websocket' });
  const small = await session.run(photo, { cut: 'p', mode: 'only-split' });
  expect(small.report.bytes).toMatchObject({ raw: 384 });
  const { report } = await session.run(photo, { cut: 'r1' });
  expect(report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^TOO_LARGE: /) });
  expect(report.bytes.up).toBeGreaterThan(4 * 4 * 8 * 8); // the feature at r1, raw
  expect(report.bytes.down).toBe(0);
});

test('a frame that no connection took is not', async () => {
  await using proxy = await tcpProxy(tail.port);
  for (const hedge of [true, false]) {
    await using session = await connect(`http://127.0.0.1:${proxy.port}/models/tiny`, {
      ...{ cut: 'p', codec: 'raw', transport: 'fetch', hedge },
    });
    await session.run(photo, { mode: 'only-local' }); // its segments are here
    proxy.set({ refuse: true });
    proxy.cut();
    const { report } = await session.run(photo);
    expect(report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
    expect(report.bytes).toEqual({ up: 0, down: 0 });
    proxy.set({ refuse: false });
  }
});
