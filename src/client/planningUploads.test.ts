// The picture's format where the caller names none: JPEG or WebP by calibration and by what this device writes. The embedded model at
// the real tail, behind a link on which bytes count.
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import { connect } from '../index.node.ts';
import type { Report } from './resultTypes.ts';
import { linkTo, served } from './served.fixture.ts';
import { drawnPicture } from './tinyModel.fixture.ts';
import type { ConnectOptions, Session } from './types.ts';

const { tail } = await served(fileURLToPath(new URL('../../models', import.meta.url)));
const { proxy, address } = await linkTo(tail, 'neck10');
/** The larger ones have finer patterns once they are scaled down, and so more bytes. */
const photos = await Promise.all(
  [0, 1, 2, 3, 4].map((i) => drawnPicture('jpeg', 200 + 90 * i, 220 + 70 * i)),
);
afterEach(() => proxy.set(HEALTHY));

// The smallest of each format that keep the default limit.
const JPEG = { format: 'jpeg', quality: 0.5 };
const WEBP = { format: 'webp', quality: 0.5 };
const USUAL = { format: 'jpeg', quality: 0.85 };

const open = (options: ConnectOptions = {}) =>
  connect(address, { mode: 'only-remote', plan: 'measured', transport: 'fetch', ...options });

type Sent = Pick<Report, 'upload'>;

let turn = 0;
async function send(session: Session, count: number): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let i = 0; i < count; i++) {
    sent.push((await session.run(photos[turn++ % photos.length]!)).report);
  }
  return sent;
}

const named = ({ preset, quality }: { preset?: string; quality?: number }) => ({ format: preset, quality });

test('on a slow link the smaller one is tried, and the plan names both with their qualities', async () => {
  await using session = await open();
  proxy.set({ bytesPerSecond: 20_000 }); // a thousand bytes take 50 ms
  // Until it is known what this device writes, as without a measured plan.
  let [sent] = await send(session, 1);
  expect(sent!.upload).toEqual(USUAL);
  for (let i = 0; i < 60 && sent!.upload!.format !== 'webp'; i++) [sent] = await send(session, 1);
  expect(sent!.upload).toEqual(WEBP);
  const { ran, why, alternatives, ...taken } = session.plan!;
  expect([ran, named(taken)]).toEqual(['remote', WEBP]);
  expect(why).toContain('remote/webp-0.5');
  expect(alternatives.map(named)).toEqual(expect.arrayContaining([JPEG, WEBP]));
  const bytesOf = ({ format }: { format: string }) =>
    alternatives.find((one) => one.preset === format)!.bytes;
  expect(bytesOf(WEBP)).toBeLessThan(bytesOf(JPEG));
});

test('a format that is named is the only one; nobody asks what else this device could write', async () => {
  for (const format of ['jpeg', 'webp'] as const) {
    const runtime = nodeRuntime();
    let asked = 0;
    const formats = () => {
      asked++;
      return runtime.formats!();
    };
    await using session = await open({ upload: { format }, mode: 'auto', runtime: { ...runtime, formats } });
    for (const { upload } of await send(session, 4)) if (upload) expect(upload.format).toBe(format);
    const remotes = session.plan!.alternatives.filter(({ plan }) => plan === 'remote');
    expect(remotes.map(named)).toEqual([format === 'jpeg' ? JPEG : WEBP]);
    expect(asked).toBe(0);
  }
});

test('a device that writes no WebP, or does not say, sends JPEG', async () => {
  const { formats: _, ...silent } = nodeRuntime();
  const without = { ...nodeRuntime(), formats: async () => ['jpeg'] as const };
  for (const runtime of [silent, without]) {
    await using session = await open({ mode: 'auto', runtime });
    await send(session, 4);
    const remotes = session.plan!.alternatives.filter(({ plan }) => plan === 'remote');
    expect(remotes.map(named)).toEqual([JPEG]);
  }
});

test('without a measured plan it is JPEG at 0.85, as ever', async () => {
  await using session = await open({ plan: 'fixed' });
  for (const { upload } of await send(session, 3)) expect(upload).toEqual(USUAL);
  expect(session.plan).toBeUndefined();
});
