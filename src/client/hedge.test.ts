// Hedged runs against the real tail over a link that goes silent or refuses: the device answers in time, and says why.
import { readdir } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { IsthmusError } from '../errors.ts';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import { connect } from '../index.node.ts';
import { hedge, Patience } from './hedge.ts';
import type { Result } from './resultTypes.ts';
import { linkTo, otherCache, servedTiny } from './served.fixture.ts';
import type { ConnectOptions, Session } from './types.ts';

const { model, tail, photo } = await servedTiny();
const { proxy, address } = await linkTo(tail);
afterEach(() => proxy.set(HEALTHY));

/** A session that has crossed once, and has the whole model here where `warm`. */
async function open(options: ConnectOptions = {}, warm = true): Promise<Session> {
  const session = await connect(address, { codec: 'raw', ...options });
  if (warm) await session.run(photo, { mode: 'only-local' });
  expect((await session.run(photo, { deadlineMs: 20_000 })).report.ran).not.toBe('local');
  return session;
}
const logits = ({ outputs }: Result) => Array.from(outputs.logits!.data as Float32Array);
async function timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
  const began = performance.now();
  return { value: await work, ms: performance.now() - began };
}

for (const [mode, transport] of [
  ['prefer-split', 'auto'],
  ['prefer-split', 'fetch'],
  ['prefer-remote', 'websocket'],
] as const) {
  test(`${mode} over ${transport}: a tail that goes silent is overtaken, and asked again once it is back`, async () => {
    await using session = await open({ mode, transport });
    const good = await session.run(photo, { mode: 'only-local' });
    proxy.set({ blackhole: true });
    const { value, ms } = await timed(session.run(photo));
    expect(value.report).toMatchObject({
      ran: 'local',
      degraded: expect.stringMatching(/^STALL: .* \d+ ms/),
    });
    expect(value.report.bytes.up).toBeGreaterThan(20);
    expect(logits(value)).toEqual(logits(good));
    expect(ms).toBeLessThan(2500);
    // What the tail answers late belongs to nobody; the next answer is the next request's own.
    proxy.set({ blackhole: false });
    await expect
      .poll(async () => (await session.run(photo)).report.ran, { timeout: 10_000 })
      .toBe(mode.slice('prefer-'.length));
  });
}

test('a deadline is met here when the tail would miss it, and cannot be where the segments are not', async () => {
  await using session = await open({ transport: 'fetch' });
  proxy.set({ blackhole: true });
  const { value, ms } = await timed(session.run(photo, { deadlineMs: 700 }));
  expect(value.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^STALL: /) });
  expect(ms).toBeLessThan(700);
  const only = timed(session.run(photo, { mode: 'only-split', deadlineMs: 300 }));
  await expect(only).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  proxy.set(HEALTHY);

  using _none = await otherCache('');
  await using bare = await open({ transport: 'fetch' }, false);
  proxy.set({ blackhole: true });
  await expect(bare.run(photo, { deadlineMs: 500 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('what the device waited for once, as for another worker, is not what it is expected to take', async () => {
  const runtime = nodeRuntime();
  let waitMs = 1000;
  const revived: HeadRuntime = {
    ...runtime,
    async local(...args) {
      await later(waitMs);
      waitMs = 0;
      return runtime.local(...args);
    },
  };
  await using session = await open({ transport: 'fetch', runtime: revived });
  expect(waitMs).toBe(0);
  proxy.set({ latencyMs: 200 });
  // With 1.25 s for the device nothing would be left to wait for the tail.
  const { report } = await session.run(photo, { deadlineMs: 1400 });
  expect(report).toMatchObject({ ran: 'split', transport: 'fetch' });
});

test('a tail that refuses connections costs less than a second where the model is here', async () => {
  await using patient = await open({ hedge: false });
  await using session = await open();
  proxy.set({ refuse: true });
  proxy.cut();
  const { value, ms } = await timed(session.run(photo));
  expect(value.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
  expect(ms).toBeLessThan(1000);
  const slow = await timed(patient.run(photo));
  expect(slow.value.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
  expect(slow.ms).toBeGreaterThan(1000);
  console.log(`refused: hedged ${ms.toFixed(0)} ms, not hedged ${slow.ms.toFixed(0)} ms`);
});

test('standby fetches the whole model behind the session', async () => {
  using own = await otherCache();
  await using session = await open({ transport: 'fetch', standby: true }, false);
  const whole = async () =>
    (await readdir(own.folder)).filter((file) => /^segment-\w+\.bin$/.test(file)).length;
  await expect.poll(whole, { timeout: 10_000 }).toBe(model.manifest.segments.length);
  proxy.set({ blackhole: true });
  const { report } = await session.run(photo);
  expect(report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^STALL: /) });
});

test('patience: the 95th percentile of recent crossings, within its bounds and the deadline', () => {
  const patience = new Patience();
  expect(patience.ms()).toBe(1000);
  expect(patience.ms(600)).toBe(300); // nobody knows how long the device takes
  for (let i = 1; i <= 100; i++) patience.crossed(i < 90 ? 20 : 400);
  expect(patience.ms()).toBe(400);
  patience.computed(100);
  patience.computed(40);
  expect(patience.ms(355)).toBe(200);
  expect(patience.ms(50)).toBe(0);
  const quick = new Patience();
  for (let i = 0; i < 20; i++) quick.crossed(5);
  expect(quick.ms()).toBe(250);
});

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const offline = new IsthmusError('OFFLINE', 'Away.');
const { signal } = new AbortController();

test('the first answer counts, and failures count only when nobody answers', async () => {
  const quick = {
    cross: () => later(5).then(() => 'tail'),
    local: () => Promise.reject(new Error('unused')),
  };
  expect(await hedge({ ...quick, patienceMs: 50, signal })).toEqual({ by: 'tail', answer: 'tail' });

  const hurt = { cross: () => later(20).then(() => Promise.reject(offline)), patienceMs: 1, signal };
  const saved = await hedge({ ...hurt, local: () => later(60).then(() => 'here') });
  expect(saved).toMatchObject({ by: 'device', answer: 'here', trouble: offline });
  const broken = hedge({ ...hurt, local: () => Promise.reject(new Error('no device')) });
  await expect(broken).rejects.toBe(offline);

  const slow = { cross: () => later(60).then(() => 'tail'), patienceMs: 1, signal };
  expect(await hedge({ ...slow, local: () => Promise.reject(new Error('no device')) })).toMatchObject({
    by: 'tail',
  });
});

test('trouble calls the device at once; an overtaken crossing is told to stop, and so is a device that comes second', async () => {
  let stopped = false;
  const answer = await hedge({
    cross: (signal, onTrouble) =>
      new Promise<string>((_, reject) => {
        onTrouble(offline);
        signal.addEventListener('abort', () => {
          stopped = true;
          reject(signal.reason);
        });
      }),
    local: async () => 'here',
    patienceMs: 60_000,
    signal,
  });
  expect(answer).toMatchObject({ by: 'device', trouble: offline });
  expect(stopped).toBe(true);

  let here: AbortSignal | undefined;
  const tailFirst = await hedge({
    cross: () => later(30).then(() => 'tail'),
    local: (signal) => {
      here = signal;
      return new Promise(() => undefined);
    },
    patienceMs: 1,
    signal,
  });
  expect(tailFirst.by).toBe('tail');
  expect(here?.aborted).toBe(true);
});

const soon = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(resolve, ms, value));

test('of two that race the first answers and the second is heard, whichever it is', async () => {
  const heard: unknown[] = [];
  const late = { ms: 5000, heard: (second: unknown) => void heard.push(second) };
  const race = (tailMs: number, deviceMs: number) =>
    hedge({
      ...{ cross: () => soon(tailMs, 'there'), local: () => soon(deviceMs, 'here'), patienceMs: 0 },
      ...{ signal, late },
    });
  expect(await race(10, 200)).toEqual({ by: 'tail', answer: 'there' });
  await expect.poll(() => heard).toEqual([{ by: 'device', answer: 'here' }]);
  expect(await race(200, 10)).toMatchObject({ by: 'device', answer: 'here', trouble: undefined });
  await expect.poll(() => heard).toEqual([expect.anything(), { by: 'tail', answer: 'there' }]);
});

test('a crossing that is too late even for that is ended, and one that fails is told of; once', async () => {
  const heard: { by: string; error?: IsthmusError | undefined }[] = [];
  const late = { ms: 40, heard: (second: (typeof heard)[number]) => void heard.push(second) };
  let ended = false;
  const silent = (signal: AbortSignal) =>
    new Promise<string>((_, reject) =>
      signal.addEventListener('abort', () => {
        ended = true;
        reject(signal.reason);
      }),
    );
  const local = () => soon(5, 'here');
  await hedge({ cross: silent, local, patienceMs: 0, signal, late });
  expect(ended).toBe(false);
  await expect.poll(() => heard).toEqual([{ by: 'nobody', error: undefined, afterMs: expect.any(Number) }]);
  expect(ended).toBe(true);
  const away = new IsthmusError('OFFLINE', 'gone');
  const failing = () => soon(30, 0).then(() => Promise.reject(away));
  expect(await hedge({ cross: failing, local, patienceMs: 0, signal, late })).toMatchObject({ by: 'device' });
  await expect.poll(() => heard.at(-1)).toMatchObject({ by: 'nobody', error: away });
  // A link that fails before anybody answered is the answer's own trouble.
  const slow = () => soon(60, 'here');
  const gone = () => soon(20, 0).then(() => Promise.reject(away));
  const first = await hedge({ cross: gone, local: slow, patienceMs: 0, signal, late });
  expect(first).toMatchObject({ by: 'device', trouble: away });
  await soon(80, 0);
  expect(heard).toHaveLength(2);
});
