// Exits and the planner together, with the embedded model at a real tail behind a far link: what ends early teaches the plan, and the
// plan says so. Times that outlive a session: planningTimes.test.ts.
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { connect } from '../index.node.ts';
import { linkTo, served } from './served.fixture.ts';

const root = new URL('../../', import.meta.url);
const { tail } = await served(new URL('models', root).pathname);
const { proxy, address } = await linkTo(tail, 'neck10');
const church = await readFile(new URL('public/samples/church.jpg', root));
const photo = new Uint8Array(await sharp(church).resize(160, 160).jpeg().toBuffer());

test('a way that often ends at an exit is expected to be faster than the link allows', async () => {
  proxy.set({ ...HEALTHY, latencyMs: 150 });
  await using session = await connect(address, {
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
  await using session = await connect(address, {
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
