// What a page lives through, in real Chromium against the real tail: its link is cut again and again, its tail is away when it
// starts, its cache is evicted or full. No answer is lost, doubled or wrong. Devices and workers: clientRecovery.spec.ts.
import { expect } from '@playwright/test';
import { type Answer, type Globals, openHarmable, run, same, start, test } from './clientPage.ts';
import { HEALTHY, seeded } from './faults/link.ts';
import { openPage } from './fixtures.ts';
import { percentile } from './soak/requests.ts';

test.beforeEach(({ page, pages }) => openHarmable(page, pages));

/** How long the link is cut again and again; `ISTHMUS_ENDURANCE=600` for ten minutes. */
const seconds = Number(process.env.ISTHMUS_ENDURANCE ?? 60);
/** Between two questions of a lane, so that a minute of them leaves the cores to others. */
const PAUSE_MS = 50;
const seed = Number(process.env.ISTHMUS_SEED ?? 1);

test('the link is cut every 2 to 10 s: every question has one answer, its own, and within 1.5 s', async ({
  page,
  link,
}) => {
  await start(page, link, { transport: 'auto', standby: true });
  const right = [await run(page, 0), await run(page, 1), await run(page, 2)];
  const breaks: number[] = [];
  const answers: Answer[] = [];
  const random = seeded(seed);
  const until = Date.now() + seconds * 1000;
  const cutting = (async () => {
    for (;;) {
      const pause = 2000 + random() * 8000;
      if (Date.now() + pause + 1500 > until) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
      link.cut();
      breaks.push(await page.evaluate(() => performance.now()));
    }
  })();
  const lane = async (seed: number) => {
    while (Date.now() < until) {
      const answer = await run(page, seed, 'none', 0, { deadlineMs: 5000 }); // a lost one would reject
      same(answer, right[seed]!);
      answers.push(answer);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  await Promise.all([lane(0), lane(1), lane(2)]);
  await cutting;
  answers.sort((a, b) => a.at - b.at);
  const back = breaks.flatMap((at) =>
    answers
      .filter((a) => a.at > at)
      .slice(0, 1)
      .map((a) => a.at - at),
  );
  const ran = (where: string) => answers.filter((a) => a.report.ran === where).length;
  console.log(
    `${breaks.length} cuts in ${seconds} s (seed ${seed}), ${answers.length} answers (${ran('split')} split, ${ran('local')} local), back after p95 ${percentile(back, 0.95).toFixed(0)} ms, slowest answer ${Math.max(...answers.map((a) => a.ms)).toFixed(0)} ms`,
  );
  expect(breaks.length).toBeGreaterThan(2);
  expect(percentile(back, 0.95)).toBeLessThan(1500);
  expect(ran('split')).toBeGreaterThan(answers.length / 2);
});

test('a reloaded page starts without its tail from what the last visit left, and crosses once it is back', async ({
  page,
  link,
  pages,
}) => {
  await start(page, link, { mode: 'prefer-local' });
  const right = await run(page, 0);
  await page.evaluate(() => (globalThis as unknown as Globals).session.close());
  link.set({ refuse: true });
  link.cut();
  await openPage(page, pages);
  await expect(start(page, link, { mode: 'only-split' })).rejects.toThrow(/No tail could be reached/);
  const ms = await start(page, link, {});
  const first = await run(page, 0);
  same(first, right);
  expect(first.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
  console.log(
    `without a tail: connected after ${ms.toFixed(0)} ms, first answer ${first.ms.toFixed(0)} ms later`,
  );
  link.set(HEALTHY);
  await expect
    .poll(async () => (await run(page, 0)).report, { timeout: 20_000 })
    .toEqual({
      ran: 'split',
      device: 'wasm',
    });
});

test('an evicted cache and a full one cost downloads, never a session', async ({ page, link, pages }) => {
  await start(page, link, { mode: 'prefer-local' });
  const right = await run(page, 0);
  await page.evaluate(async () => {
    await (globalThis as unknown as Globals).session.close();
    for (const { name } of await indexedDB.databases()) indexedDB.deleteDatabase(name!);
  });
  await openPage(page, pages);
  await start(page, link, { mode: 'only-local' });
  same(await run(page, 0), right);
  const cdp = await page.context().newCDPSession(page);
  const { origin } = new URL(pages);
  await cdp.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
  await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1024 });
  await openPage(page, pages);
  await start(page, link, { mode: 'only-local' });
  same(await run(page, 0), right);
  // Nothing was kept, so there is nothing to start from without the tail.
  link.set({ refuse: true });
  link.cut();
  await openPage(page, pages);
  await expect(start(page, link, {})).rejects.toThrow(/No tail could be reached/);
});

test('a stream of a playing picture: fresh, in order, bounded, and still frames are not run', async ({
  page,
  link,
}) => {
  await start(page, link, { transport: 'auto' });
  await run(page, 0);
  link.set({ latencyMs: 60 });
  const { oneByOne, streamed } = await page.evaluate(async () => {
    const { session } = globalThis as unknown as Globals;
    const frames = Array.from({ length: 16 }, (_, n) => {
      const data = Uint8ClampedArray.from({ length: 4 * 96 * 96 }, (_, i) => (i * (n + 3)) & 255);
      return new ImageData(data, 96, 96);
    });
    const began = performance.now();
    for (const frame of frames) await session.run(frame);
    const between = performance.now();
    let answers = 0;
    for await (const _ of session.stream(frames)) answers++;
    if (answers !== frames.length) throw new Error(`${answers} answers`);
    const perSecond = (ms: number) => (1000 * frames.length) / ms;
    return { oneByOne: perSecond(between - began), streamed: perSecond(performance.now() - between) };
  });
  console.log(
    `neck10 over 120 ms there and back: one at a time ${oneByOne.toFixed(1)} a second, streamed ${streamed.toFixed(1)} (${(streamed / oneByOne).toFixed(2)} times)`,
  );
  expect(streamed).toBeGreaterThan(oneByOne);
  const seen = await page.evaluate(async () => {
    const { session } = globalThis as unknown as Globals;
    const canvas = Object.assign(document.createElement('canvas'), { width: 96, height: 96 });
    const context = canvas.getContext('2d')!;
    let hue = 0;
    let moving = true;
    const paint = setInterval(() => {
      if (moving) hue += 25;
      context.fillStyle = `hsl(${hue} 80% ${30 + (hue % 50)}%)`;
      context.fillRect(0, 0, 96, 96);
    }, 20);
    const media = canvas.captureStream(50);
    const results: { frame: number; dropped: number; repeated: boolean; ran: string; at: number }[] = [];
    const take = async (
      source: Parameters<typeof session.stream>[0],
      count: number,
      onTake?: (n: number) => void,
    ) => {
      for await (const { frame, dropped, repeated, report } of session.stream(source, {
        ...{ latestOnly: true, similarity: 0.98 },
      })) {
        results.push({ frame, dropped, repeated, ran: report.ran, at: performance.now() });
        onTake?.(results.length);
        if (results.length >= count) return results.splice(0);
      }
      return results.splice(0);
    };
    const [track] = media.getVideoTracks();
    const fromTrack = await take(track!, 20, (n) => {
      if (n === 12) moving = false;
    });
    moving = true;
    const video = Object.assign(document.createElement('video'), { muted: true, srcObject: media });
    await video.play();
    const fromVideo = await take(video, 10);
    clearInterval(paint);
    track!.stop();
    await session.close();
    return { fromTrack, fromVideo };
  });
  for (const [name, results] of Object.entries(seen)) {
    const frames = results.map((r) => r.frame);
    expect(frames).toEqual([...frames].sort((a, b) => a - b));
    expect(new Set(frames).size).toBe(frames.length);
    for (const [i, { frame, dropped }] of results.entries())
      expect(dropped).toBe(frame - (frames[i - 1] ?? -1) - 1);
    const seconds = (results.at(-1)!.at - results[0]!.at) / 1000;
    console.log(
      `${name}: ${((results.length - 1) / seconds).toFixed(1)} answers a second over 120 ms, ${results.reduce((n, r) => n + r.dropped, 0)} dropped, ${results.filter((r) => r.repeated).length} repeated`,
    );
  }
  expect(seen.fromTrack).toHaveLength(20);
  expect(seen.fromVideo).toHaveLength(10);
  expect(seen.fromTrack.slice(15).some((r) => r.repeated)).toBe(true);
});
