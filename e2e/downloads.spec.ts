// Downloads of the model in real Chromium from the real tail over a link that is cut again and again: the load goes on where it
// stopped, and the next visitor's download is whole.
import { expect, type Page } from '@playwright/test';
import type { ConnectProgress } from '../src/client/types.ts';
import { type TcpProxy, tcpProxy } from './faults/tcpProxy.ts';
import { test as base, fleetTail, type Globals, openPage, type Tail } from './fixtures.ts';

const test = base.extend<{ link: TcpProxy }, { tail: Tail }>({
  tail: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern
    async ({}, use) => {
      await using tail = await fleetTail(undefined, ['--cors', '*', '--grace', '2']);
      await use(tail);
    },
    { scope: 'worker', timeout: 60_000 },
  ],
  async link({ tail }, use) {
    await using link = await tcpProxy(Number(new URL(tail.url).port));
    await use(link);
  },
});

/** Loads the whole model and runs it. Every visit is a browser that has nothing yet. */
async function load(page: Page, pages: string, port: number) {
  await openPage(page, pages);
  return page.evaluate(async (url) => {
    const progress: ConnectProgress[] = [];
    const { isthmus } = globalThis as unknown as Globals;
    const session = await isthmus.connect(url, {
      ...{ device: 'wasm', mode: 'only-local', transport: 'fetch' },
      onProgress: (p) => progress.push({ ...p }),
    });
    const { name, shape } = session.manifest.inputs[0]!;
    const dims = shape.map((d) => (typeof d === 'number' ? d : 1));
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i / 9));
    const { outputs } = await session.run({ [name]: { dtype: 'float32', shape: dims, data } });
    await session.close();
    const loaded = progress.filter(({ stage }) => stage === 'download').map((p) => p.loaded);
    return {
      loaded,
      total: progress.at(-1)!.total,
      logits: Array.from(Object.values(outputs)[0]!.data as Float32Array),
    };
  }, `http://127.0.0.1:${port}/models/neck10`);
}

test('a load whose connection is cut three times ends well, and so does the next visitor’s', async ({
  browser,
  link,
  pages,
}) => {
  const visit = async () => {
    const context = await browser.newContext();
    try {
      return await load(await context.newPage(), pages, link.port);
    } finally {
      await context.close();
    }
  };
  const undisturbed = await visit();
  const before = link.bytes.down;
  const opened = link.opened;
  link.set({ bytesPerSecond: 4_000_000 });
  const cuts = [400_000, 1_000_000, 1_800_000];
  const cutter = setInterval(() => {
    if (cuts.length > 0 && link.bytes.down - before > cuts[0]!) {
      cuts.shift();
      link.cut();
    }
  }, 5);
  const disturbed = await visit().finally(() => clearInterval(cutter));
  expect(cuts).toEqual([]);
  expect(link.opened - opened).toBeGreaterThan(3);
  const { loaded, total, logits } = disturbed;
  expect(loaded).toEqual(loaded.toSorted((a, b) => a - b));
  expect(loaded.at(-1)).toBe(total);
  expect(logits).toEqual(undisturbed.logits);
  // What was cut off is not sent again: all of it together is little more than one model and what was on its way.
  const sent = link.bytes.down - before;
  expect(sent).toBeLessThan(1.5 * total);
  console.log(`a model of ${total} bytes took ${sent} bytes over a link that was cut three times`);
  link.set({ bytesPerSecond: 0 });
  expect((await visit()).logits).toEqual(undisturbed.logits);
});
