// Hedged runs against the real tail over a link that goes silent or refuses: the device answers in time, and says why.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { type TcpProxy, tcpProxy } from '../../e2e/faults/tcpProxy.ts';
import { IsthmusError } from '../errors.ts';
import { connect } from '../index.node.ts';
import { createTailServer, type TailServer } from '../tail/index.ts';
import { hedge, Patience } from './hedge.ts';
import type { Result } from './resultTypes.ts';
import { drawnPicture, type TinyModel, tinyModel } from './tinyModel.fixture.ts';
import type { ConnectOptions, Session } from './types.ts';

let model: TinyModel;
let tail: TailServer;
let proxy: TcpProxy;
let photo: Uint8Array;
let cache: string;

beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'isthmus-cache-'));
  process.env.ISTHMUS_CACHE = cache;
  model = await tinyModel();
  tail = await createTailServer({ models: model.folder, port: 0, logger: false, threads: 1 });
  proxy = await tcpProxy(tail.port);
  photo = await drawnPicture();
});
afterEach(() => proxy.set(HEALTHY));
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await tail?.close({ graceMs: 500 });
  await model?.[Symbol.asyncDispose]();
  await rm(cache, { recursive: true, force: true });
});

/** A session that has crossed once, and has the whole model here where `warm`. */
async function open(options: ConnectOptions = {}, warm = true): Promise<Session> {
  const session = await connect(`http://127.0.0.1:${proxy.port}/models/tiny`, { codec: 'raw', ...options });
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

  process.env.ISTHMUS_CACHE = '';
  try {
    await using bare = await open({ transport: 'fetch' }, false);
    proxy.set({ blackhole: true });
    await expect(bare.run(photo, { deadlineMs: 500 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  } finally {
    process.env.ISTHMUS_CACHE = cache;
  }
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
  const own = await mkdtemp(join(tmpdir(), 'isthmus-cache-'));
  process.env.ISTHMUS_CACHE = own;
  try {
    await using session = await open({ transport: 'fetch', standby: true }, false);
    const whole = async () => (await readdir(own)).filter((file) => /^segment-\w+\.bin$/.test(file)).length;
    await expect.poll(whole, { timeout: 10_000 }).toBe(model.manifest.segments.length);
    proxy.set({ blackhole: true });
    const { report } = await session.run(photo);
    expect(report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^STALL: /) });
  } finally {
    process.env.ISTHMUS_CACHE = cache;
    await rm(own, { recursive: true, force: true });
  }
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
