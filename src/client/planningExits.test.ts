// Exits and the planner together, with the embedded model at a real tail behind a far link: what ends early teaches the plan, and the
// plan says so. Another device later in the session starts its times anew.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { type TcpProxy, tcpProxy } from '../../e2e/faults/tcpProxy.ts';
import { connect } from '../index.node.ts';
import { createTailServer, type TailServer } from '../tail/index.ts';

const root = new URL('../../', import.meta.url);
let tail: TailServer;
let proxy: TcpProxy;
let photo: Uint8Array;
let cache: string;

beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'isthmus-cache-'));
  process.env.ISTHMUS_CACHE = cache;
  const models = new URL('models', root).pathname;
  tail = await createTailServer({ models, port: 0, logger: false, threads: 1 });
  proxy = await tcpProxy(tail.port);
  const church = await readFile(new URL('public/samples/church.jpg', root));
  photo = await sharp(church).resize(160, 160).jpeg().toBuffer();
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await tail?.close({ graceMs: 500 });
  await rm(cache, { recursive: true, force: true });
});

test('a way that often ends at an exit is expected to be faster than the link allows', async () => {
  proxy.set({ ...HEALTHY, latencyMs: 150 });
  await using session = await connect(`http://127.0.0.1:${proxy.port}/models/neck10`, {
    mode: 'prefer-split',
    plan: 'measured',
    hedge: false,
  });
  const ran: string[] = [];
  for (let i = 0; i < 8; i++) ran.push((await session.run(photo)).report.ran);
  expect(ran).toContain('exit');
  const plan = session.plan!;
  expect(plan.why).toMatch(/about \d+ % end at an exit before/);
  // 300 ms of round trip are in every crossing, and in none of the answers that end early.
  expect(['neck1', 'neck2']).toContain(plan.alternatives[0]!.cut);
  const [first, second] = ['neck1', 'neck0'].map(
    (cut) => plan.alternatives.find((one) => one.cut === cut)!.predictedMs,
  );
  expect(first).toBeLessThan(second!);
});

test('where the quality was left open the picture travels at the calibrated one, and the plan tells its accuracy', async () => {
  proxy.set({ ...HEALTHY });
  await using session = await connect(`http://127.0.0.1:${proxy.port}/models/neck10`, {
    mode: 'auto',
    exits: 'off',
  });
  const bytes: number[] = [];
  for (const maxAccuracyLoss of [0.06, 0.005]) {
    await session.run(photo, { limits: { maxAccuracyLoss } });
    const remote = session.plan!.alternatives.find(({ plan }) => plan === 'remote')!;
    expect(remote.accuracy).toBeGreaterThanOrEqual(1 - maxAccuracyLoss);
    bytes.push(remote.bytes);
  }
  expect(bytes[0]).toBeLessThan(bytes[1]!);
});
