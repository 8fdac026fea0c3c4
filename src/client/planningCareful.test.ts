// Caution with plans, loads ahead of need and hedges: nothing larger is run or fetched than it allows, and all comes back step by step.
// What it makes smaller on purpose, the sentence of a measured plan says.
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import { connect } from '../index.node.ts';
import { makeTransport } from '../transport/makeTransport.ts';
import { createCaution } from './caution.ts';
import type { Defaults } from './choose.ts';
import { createLoader, type Loader } from './loader.ts';
import { linkTo, servedTiny } from './served.fixture.ts';
import { createSession } from './session.ts';
import type { Session } from './types.ts';

const { model, tail, address, photo } = await servedTiny();
const { manifest } = model;
const { proxy } = await linkTo(tail);
afterAll(() => vi.unstubAllGlobals());

test('a device with little memory takes an earlier cut than the planned one, and session.plan tells', async () => {
  vi.stubGlobal('navigator', { deviceMemory: 1 });
  // Nothing but the later cut keeps the limit.
  const options = { plan: 'measured', transport: 'fetch', limits: { maxBytes: 50 } } as const;
  await using session = await connect(address, options);
  await session.run(photo, { mode: 'only-local' }); // all segments are here
  const { report } = await session.run(photo);
  expect(report).toMatchObject({ ran: 'split', cut: 'r1', degraded: expect.stringMatching(/^CAUTION: /) });
  expect(session.plan).toMatchObject({ ran: 'split', cut: 'r1' });
  expect(session.plan!.why).toMatch(
    /^p\/isthmus: .*; something smaller was run, as this device has little memory\.$/,
  );
  // As runs succeed the head grows, and there is nothing more to say.
  await expect
    .poll(async () => (await session.run(photo)).report.cut, { timeout: 20_000, interval: 1 })
    .toBe('p');
  expect(session.plan!.why).not.toContain('smaller');
});

test('after a crash it says so', () => {
  const flag = { crashes: 1, proven() {}, end() {} };
  expect(createCaution(flag, true).because).toBe('the last start with this model ended in a crash');
});

/** A session as connect() opens it after so many crashes: with that much loaded and no more. */
async function after(
  crashes: number,
  defaults: Defaults,
): Promise<{ session: Session; loader: Loader; proven: () => number }> {
  const runtime = nodeRuntime();
  const base = `http://127.0.0.1:${proxy.port}`;
  let proven = 0;
  const caution = createCaution({ crashes, proven: () => proven++, end() {} }, false);
  const loader = createLoader({ runtime, manifest, artifacts: `${base}/artifacts` });
  await loader.upTo(caution.allows(manifest, defaults).last);
  const transport = makeTransport('fetch', { base, model: `${base}/models/tiny` });
  const session = createSession({ manifest, runtime, transport, loader, defaults, caution });
  onTestFinished(() => session.close());
  return { session, loader, proven: () => proven };
}

test('after two crashes auto begins with the tail alone, and fetches one segment more after every three answers', async () => {
  proxy.set({ latencyMs: 30 }); // the whole model takes a few milliseconds here
  onTestFinished(() => proxy.set(HEALTHY));
  const { session, loader, proven } = await after(2, { mode: 'auto' });
  const ran: string[] = [];
  for (let run = 0; run < 12; run++) {
    ran.push((await session.run(photo)).report.ran);
    await new Promise((resolve) => setTimeout(resolve, 30)); // time for what is fetched behind it
    expect(loader.last).toBeLessThanOrEqual(Math.floor(run / 3) - 1);
  }
  expect(ran.slice(0, 3)).toEqual(['remote', 'remote', 'remote']);
  expect(proven()).toBe(1);
  // At last the whole model is here again.
  await expect
    .poll(async () => (await session.run(photo)).report, { timeout: 20_000, interval: 1 })
    .toEqual(expect.objectContaining({ ran: 'local', bytes: { up: 0, down: 0 } }));
  expect(loader.last).toBe(2);
});

test('prefer-local comes back after a crash, three answers for each segment', async () => {
  const { session } = await after(1, { mode: 'prefer-local' });
  const ways: string[] = [];
  for (let run = 0; run < 9; run++) {
    const { ran, degraded } = (await session.run(photo)).report;
    ways.push(ran);
    expect(degraded === undefined).toBe(ran === 'local');
  }
  expect(ways).toEqual([...Array(6).fill('split'), ...Array(3).fill('local')]);
});

test('a late tail is no reason to run the whole model here after a crash, though it is kept', async () => {
  await (await connect(address, { mode: 'only-local' })).close(); // now it is
  proxy.set({ latencyMs: 700 });
  onTestFinished(() => proxy.set(HEALTHY));
  const careful = await after(2, { mode: 'prefer-split' });
  const usual = await after(0, { mode: 'prefer-split', cut: 'r1' });
  const [one, other] = await Promise.all([careful.session.run(photo), usual.session.run(photo)]);
  expect(one.report).toMatchObject({ ran: 'remote', degraded: expect.stringMatching(/^CAUTION: /) });
  expect(other.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^STALL: /) });
  // Nobody else answers: the last resort.
  proxy.set({ refuse: true });
  proxy.cut();
  expect((await careful.session.run(photo)).report).toMatchObject({
    ran: 'local',
    degraded: expect.stringMatching(/^OFFLINE: /),
  });
});
