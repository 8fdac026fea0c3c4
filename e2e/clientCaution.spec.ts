// Small devices, in real Chromium against the real tail: a page that died while it loaded a model starts in a safer mode and returns to
// normal, little memory begins with a small head, and a worker is replaced between runs before it has grown too large.
import { expect, type Page } from '@playwright/test';
import type { ConnectOptions } from '../src/client/types.ts';
import { address, type Globals, openHarmable, run, same, test } from './clientPage.ts';
import type { TcpProxy } from './faults/tcpProxy.ts';

test.beforeEach(({ page, pages }) => openHarmable(page, pages));

/** Begins a session with everything left open but the codec. @param wait whether it is waited for */
function begin(page: Page, link: TcpProxy, options: ConnectOptions, wait = true): Promise<void> {
  return page.evaluate(
    async ([url, given, waits]) => {
      const g = globalThis as unknown as Globals;
      const connecting = g.isthmus.connect(url, { device: 'wasm', codec: 'raw', exits: 'off', ...given });
      connecting.catch(() => undefined);
      if (waits) g.session = await connecting;
    },
    [address(link), options, wait] as const,
  );
}

const marks = (page: Page) =>
  page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('isthmus-loading')).length);
const cutOf = (page: Page) =>
  page.evaluate(() => {
    const { session } = globalThis as unknown as Globals;
    const size = session.manifest.inputs[0]!.shape.reduce<number>(
      (n, d) => n * (typeof d === 'number' ? d : 1),
      1,
    );
    const shape = session.manifest.inputs[0]!.shape.map((d) => (typeof d === 'number' ? d : 1));
    const input = {
      [session.manifest.inputs[0]!.name]: { dtype: 'float32' as const, shape, data: new Float32Array(size) },
    };
    return session.run(input).then(({ report }) => report.cut);
  });

async function crash(page: Page): Promise<void> {
  const gone = new Promise((resolve) => page.once('crash', resolve));
  const cdp = await page.context().newCDPSession(page);
  cdp.send('Page.crash').catch(() => undefined); // nobody is left to answer
  await gone;
}

test('a page that dies while it loads starts more carefully the next time, and as ever after that', async ({
  page,
  link,
  pages,
}) => {
  await begin(page, link, {});
  const right = await run(page, 0);
  const usual = await cutOf(page);
  await run(page, 0);
  expect(await marks(page)).toBe(0); // three answers
  await page.evaluate(() => (globalThis as unknown as Globals).session.close());
  link.set({ latencyMs: 300 });
  await begin(page, link, { device: 'auto' }, false);
  await expect.poll(() => marks(page)).toBe(1);
  await crash(page);
  link.set({ latencyMs: 0 });

  const next = await page.context().newPage();
  await openHarmable(next, pages);
  await begin(next, link, { device: 'auto' });
  const first = await run(next, 0);
  same(first, right);
  expect(first.report).toMatchObject({
    ...{ ran: 'split', device: 'wasm' },
    degraded: expect.stringMatching(/^CAUTION: .* crash/),
  });
  expect(await cutOf(next)).not.toBe(usual);
  const degraded = expect.poll(async () => (await run(next, 0)).report.degraded, {
    timeout: 30_000,
    intervals: [50],
  });
  await degraded.toBeUndefined();
  expect(await cutOf(next)).toBe(usual);
  expect(await marks(next)).toBe(0);
  await next.evaluate(() => (globalThis as unknown as Globals).session.close());
  await begin(next, link, {});
  expect((await run(next, 0)).report).toEqual({ ran: 'split', device: 'wasm' });
});

test('a tab that loads, or is left, is no crash; two crashes in a row leave the model to the tail', async ({
  page,
  link,
  pages,
}) => {
  await begin(page, link, {}); // lives, and has not answered
  expect(await marks(page)).toBe(1);
  const other = await page.context().newPage();
  await openHarmable(other, pages);
  await begin(other, link, {});
  expect((await run(other, 0)).report.degraded).toBeUndefined();
  await openHarmable(other, pages); // leaves
  expect(await marks(other)).toBe(1);
  await begin(other, link, {});
  expect((await run(other, 0)).report.degraded).toBeUndefined();
  await crash(page);
  await crash(other);

  const next = await page.context().newPage();
  await openHarmable(next, pages);
  await begin(next, link, {});
  const { report } = await run(next, 0);
  expect(report).toMatchObject({ ran: 'remote', degraded: expect.stringMatching(/^CAUTION: .* tail alone/) });
  const normal = expect.poll(async () => (await run(next, 0)).report, { timeout: 30_000, intervals: [50] });
  await normal.toEqual({ ran: 'split', device: 'wasm' });
});

test('little memory begins with the first cut and grows', async ({ page, link, pages }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, 'deviceMemory', { value: 1 }));
  await openHarmable(page, pages);
  await begin(page, link, {});
  const cuts: (string | undefined)[] = [];
  for (let i = 0; i < 8; i++) cuts.push(await cutOf(page));
  const { report } = await run(page, 0);
  const names = await page.evaluate(() =>
    (globalThis as unknown as Globals).session.manifest.cuts.map((c) => c.name),
  );
  const order = cuts.map((cut) => names.indexOf(cut!));
  expect(order[0]).toBe(0);
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(order.at(-1)).toBeGreaterThan(0);
  expect(report.ran).toBe('split');
});

for (const [name, recycle, atLeast, atMost] of [
  ['after five runs', { runs: 5 }, 3, 4],
  // Far below what a fresh one needs: more of the model is no growth any more once a fresh worker has shown what that takes.
  ['when it holds too much, once', { megabytes: 1 }, 2, 2],
] as const) {
  test(`a worker is replaced between runs ${name}, and nobody notices`, async ({ page, link }) => {
    await begin(page, link, { recycle, cut: 0 });
    await run(page, 0);
    await run(page, 0, 'none', 0, { cut: 1 });
    const right = [await run(page, 0), await run(page, 1)];
    const lane = async (seed: number) => {
      for (let i = 0; i < 6; i++) {
        const answer = await run(page, seed);
        same(answer, right[seed]!);
        expect(answer.report).toEqual({ ran: 'split', device: 'wasm' });
      }
    };
    await Promise.all([lane(0), lane(1)]);
    const workers = await page.evaluate(() => (globalThis as unknown as Globals).workers.length);
    expect(workers).toBeGreaterThanOrEqual(atLeast);
    expect(workers).toBeLessThanOrEqual(atMost);
    console.log(`replaced ${name}: ${workers} workers for 16 runs`);
  });
}
