// Starting without a tail, from what an earlier visit left on this machine; and going over to the tail when it is back.
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { IsthmusError } from '../errors.ts';
import { connect } from '../index.node.ts';
import { type Manifest, manifestId, modelTag } from '../model/manifest.ts';
import { searchTail } from './offline.ts';
import type { Result } from './resultTypes.ts';
import { cacheFolder, linkTo, otherCache, servedTiny } from './served.fixture.ts';
import type { ConnectOptions } from './types.ts';

const { model, tail, photo } = await servedTiny({ modelGraceMs: 0 });
const { proxy, address } = await linkTo(tail);
const manifestText = await readFile(model.path('manifest.json'), 'utf8');

beforeAll(async () => {
  await visit();
});
afterEach(() => {
  proxy.set(HEALTHY);
  vi.useRealTimers();
});
const logits = ({ outputs }: Result) => Array.from(outputs.logits!.data as Float32Array);
const open = (options: ConnectOptions = {}) => connect(address, { codec: 'raw', ...options });

/** A visit with a network, which leaves the manifest and every segment here. */
async function visit(): Promise<Result> {
  await using session = await open({ standby: true });
  return await session.run(photo, { mode: 'only-local' });
}
function unplug(faults = { refuse: true } as { refuse?: boolean; blackhole?: boolean }): void {
  proxy.set(faults);
  proxy.cut();
}

for (const mode of ['prefer-split', 'prefer-remote', 'prefer-local'] as const) {
  test(`${mode} starts without a tail, answers here, and crosses once the tail is back`, async () => {
    unplug();
    const began = performance.now();
    await using session = await open({ mode });
    const first = await session.run(photo);
    console.log(`${mode}: first answer without a tail after ${(performance.now() - began).toFixed(0)} ms`);
    expect(first.report.ran).toBe('local');
    if (mode === 'prefer-local') expect(first.report.degraded).toBeUndefined();
    else expect(first.report.degraded).toMatch(/^OFFLINE: /);
    await expect(session.run(photo, { mode: 'only-split' })).rejects.toMatchObject({ code: 'OFFLINE' });
    proxy.set(HEALTHY);
    const good = await visit();
    expect(logits(first)).toEqual(logits(good));
    const back = async () => (await session.run(photo)).report;
    const ran = mode.slice('prefer-'.length);
    await expect.poll(back, { timeout: 12_000, interval: 200 }).toMatchObject({ ran });
    expect((await back()).degraded).toBeUndefined();
  });
}

test('auto starts without a tail as well, and plans again once it is back', async () => {
  unplug();
  await using session = await open({ mode: 'auto', standby: true });
  const first = await session.run(photo);
  expect(first.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
  expect(session.plan).toBeUndefined();
  proxy.set(HEALTHY);
  const back = async () => (await session.run(photo)).report.degraded;
  await expect.poll(back, { timeout: 12_000, interval: 200 }).toBeUndefined();
  expect(session.plan!.alternatives.map(({ plan }) => plan)).toEqual(
    expect.arrayContaining(['local', 'remote']),
  );
});

test('only-* needs its tail, and so does whoever asks for that', async () => {
  unplug();
  for (const mode of ['only-split', 'only-remote'] as const)
    await expect(open({ mode })).rejects.toMatchObject({ code: 'OFFLINE' });
  await expect(open({ offline: false })).rejects.toMatchObject({ code: 'OFFLINE' });
});

test('without a manifest or a segment there is nothing to start from', async () => {
  unplug();
  await expect(connect(`${address}s`)).rejects.toMatchObject({ code: 'OFFLINE' });
  using bare = await otherCache();
  proxy.set(HEALTHY);
  await (await open({ mode: 'only-split' })).close(); // the first segments only
  expect((await readdir(bare.folder)).filter((file) => file.startsWith('manifest-'))).toHaveLength(1);
  unplug();
  await expect(open()).rejects.toMatchObject({ code: 'OFFLINE' });
});

test('a memory that is damaged is none, and the next visit mends it', async () => {
  const name = (await readdir(cacheFolder())).find((name) => name.startsWith('manifest-'))!;
  const file = join(cacheFolder(), name);
  const whole = await readFile(file, 'utf8');
  await writeFile(file, whole.replace('"r1"', '"r9"'));
  unplug();
  await expect(open()).rejects.toMatchObject({ code: 'OFFLINE' });
  proxy.set(HEALTHY);
  await visit();
  unplug();
  await using session = await open();
  expect((await session.run(photo)).report.ran).toBe('local');
});

test('a tail that says nothing is not waited for', async () => {
  unplug({ blackhole: true });
  const began = performance.now();
  await using session = await open();
  expect((await session.run(photo)).report).toMatchObject({
    ran: 'local',
    degraded: expect.stringMatching(/^OFFLINE: .*3 s/),
  });
  expect(performance.now() - began).toBeLessThan(8000);
});

test('a tail that is only slow is waited for by a start that needs it, and without a word of offline', async () => {
  using _ = await otherCache();
  await (await open()).close(); // the manifest and the first segments only
  unplug({ blackhole: true });
  let settled = false;
  const connecting = open().finally(() => {
    settled = true;
  });
  connecting.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 4000)); // longer than the silence that a start without need of a tail bears
  expect(settled).toBe(false);
  proxy.set(HEALTHY);
  await using session = await connecting;
  const { report } = await session.run(photo);
  expect(report.ran).toBe('split');
  expect(report.degraded).toBeUndefined();
});

test('a tail that comes back with another version is named by both, and the session goes over to it', async () => {
  unplug();
  await using session = await open();
  const ours = modelTag(session.manifest);
  const theirs = modelTag({ id: await serveAnother() });
  try {
    proxy.set(HEALTHY);
    const seen: Result['report'][] = [];
    const there = async () => {
      seen.push((await session.run(photo)).report);
      return seen.at(-1)!;
    };
    await expect.poll(there, { timeout: 15_000, interval: 20 }).toMatchObject({ ran: 'split' });
    const named = seen.find(({ degraded }) => degraded?.startsWith('MODEL_MISMATCH: '))!;
    for (const id of [ours, theirs]) expect(named.degraded).toContain(id);
    for (const { ran, model } of seen) expect(modelTag(model)).toBe(ran === 'local' ? ours : theirs);
    expect(modelTag(session.manifest)).toBe(theirs);
    unplug(); // and that is what is kept from now on
    await using anew = await open();
    expect(modelTag(anew.manifest)).toBe(theirs);
  } finally {
    proxy.set(HEALTHY);
    await writeFile(model.path('manifest.json'), manifestText);
    await tail.reload();
    await visit();
  }
});

/** The same graph under other bytes, as a new training would be. @returns its id */
async function serveAnother(): Promise<string> {
  const manifest = JSON.parse(manifestText) as Manifest;
  const last = manifest.segments.at(-1)!;
  // Field 100 of ModelProto, a varint: unknown to every reader.
  const bytes = Buffer.concat([await readFile(model.path(last.file)), Buffer.from([0xa0, 0x06, 0x01])]);
  last.file = 'other.onnx';
  last.bytes = bytes.length;
  last.sha256 = createHash('sha256').update(bytes).digest('hex');
  await writeFile(model.path('other.onnx'), bytes);
  const id = await manifestId(manifest);
  await writeFile(model.path('manifest.json'), JSON.stringify({ ...manifest, id }));
  await tail.reload();
  return id;
}

test('the search asks after 1 s, ever more rarely up to a minute, and ends with the session or the answer', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const { manifest } = model;
  const away = new IsthmusError('OFFLINE', 'Away.');
  const asked: number[] = [];
  let there = false;
  const began = performance.now();
  const ask = async () => {
    asked.push(Math.round((performance.now() - began) / 1000));
    if (!there) throw new IsthmusError('OFFLINE', 'Still away.');
    return manifest;
  };
  const absence = searchTail({ ask, manifest, away, random: () => 0.5 });
  await vi.advanceTimersByTimeAsync(250_000);
  expect(asked).toEqual([1, 3, 7, 15, 31, 63, 123, 183, 243]);
  expect(absence.reason?.message).toBe('Still away.');
  there = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(absence.reason).toBeUndefined();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toHaveLength(10);

  there = false;
  const closed = searchTail({ ask, manifest, away, random: () => 0 });
  await vi.advanceTimersByTimeAsync(800);
  expect(asked).toHaveLength(11);
  closed.end();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toHaveLength(11);
});

test('the search asks at once when the network is back or the page is shown, and soon again', async () => {
  const page = new EventTarget();
  const tab = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  vi.stubGlobal('document', tab);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    let asked = 0;
    const away = new IsthmusError('OFFLINE', 'Away.');
    const ask = async (): Promise<Manifest> => {
      asked++;
      throw away;
    };
    const absence = searchTail({ ask, manifest: model.manifest, away, random: () => 0.5 });
    await vi.advanceTimersByTimeAsync(40_000);
    expect(asked).toBe(5); // the next in 23 s
    page.dispatchEvent(new Event('online'));
    expect(asked).toBe(6);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toBe(7);
    tab.dispatchEvent(new Event('visibilitychange'));
    expect(asked).toBe(8);
    absence.end();
    page.dispatchEvent(new Event('online'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toBe(8);
  } finally {
    vi.unstubAllGlobals();
  }
});
