// Measured plans with the real tail behind a real proxy: the plan follows device and link, says why, and keeps to what the
// caller named. The device is slowed down by running every head several times.
import { expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import { connect } from '../index.node.ts';
import { linkTo, servedTiny } from './served.fixture.ts';
import type { Session } from './types.ts';

const { tail, photo } = await servedTiny();
const { proxy, address } = await linkTo(tail);

/** A device on which every segment takes so much longer: it computes and then waits. */
function slowed(ms: () => number): HeadRuntime {
  const runtime = nodeRuntime();
  const wait = () => new Promise((resolve) => setTimeout(resolve, ms()));
  return {
    ...runtime,
    async local(...args) {
      const result = await runtime.local(...args);
      await wait();
      return { ...result, timings: { ...result.timings, head: (result.timings.head ?? 0) + ms() } };
    },
    async head(...args) {
      const result = await runtime.head(...args);
      await wait();
      return { ...result, timings: { ...result.timings, head: (result.timings.head ?? 0) + ms() } };
    },
  };
}

async function runs(session: Session, count: number): Promise<string[]> {
  const ran: string[] = [];
  for (let i = 0; i < count; i++) ran.push((await session.run(photo)).report.ran);
  return ran;
}

/** Runs until three in a row went that way: probes and a machine that stutters come in between. */
async function settles(session: Session, on: string, within: number): Promise<void> {
  const ran: string[] = [];
  while (ran.length < within) {
    ran.push(...(await runs(session, 1)));
    if (ran.length >= 3 && ran.slice(-3).every((way) => way === on)) return;
  }
  expect.fail(`${within} runs did not settle on ${on}: ${ran.join(' ')}. ${session.plan?.why}`);
}

test('auto leaves a slow device for the tail, and comes back when the link is worse', async () => {
  proxy.set({ ...HEALTHY });
  await using session = await connect(address, {
    mode: 'auto',
    transport: 'fetch',
    runtime: slowed(() => 300),
  });
  expect(session.plan).toBeUndefined();
  await settles(session, 'remote', 30);
  const { plan } = session;
  expect(plan).toMatchObject({
    ran: expect.any(String),
    why: expect.stringMatching(/expected|probe|possible/),
  });
  const known = plan!.alternatives.find((a) => a.plan === 'remote')!;
  expect(known.observedMs).toBeGreaterThan(0);
  expect(known.predictedMs).toBeLessThan(plan!.alternatives.find((a) => a.plan === 'local')!.predictedMs);
  proxy.set({ latencyMs: 600 });
  await settles(session, 'local', 20);
});

test('an outage is answered here, and the tail is used again after it', async () => {
  proxy.set({ ...HEALTHY });
  await using session = await connect(address, {
    mode: 'auto',
    transport: 'fetch',
    runtime: slowed(() => 250),
  });
  await settles(session, 'remote', 30);
  proxy.set({ refuse: true });
  proxy.cut();
  expect(new Set(await runs(session, 4))).toEqual(new Set(['local']));
  expect(session.plan!.ran).toBe('local');
  proxy.set({ ...HEALTHY });
  await settles(session, 'remote', 40);
});

test('only-split stays split; what the caller names is kept', async () => {
  proxy.set({ ...HEALTHY });
  await using session = await connect(address, { mode: 'only-split', plan: 'measured' });
  expect(new Set(await runs(session, 6))).toEqual(new Set(['split']));
  const named = await session.run(photo, { cut: 'p', codec: 'raw' });
  expect(named.report).toMatchObject({ ran: 'split', cut: 'p', preset: 'raw' });
  const local = await session.run(photo, { mode: 'only-local' });
  expect(local.report.ran).toBe('local');
});

test('without being asked for, plans are as they were', async () => {
  await using session = await connect(address);
  const { report } = await session.run(photo);
  expect(report.ran).toBe('split');
  expect(session.plan).toBeUndefined();
});
