// C5: a page that streams for long, and one that opens and closes sessions again and again, in real Chromium against the real tail.
// JavaScript heaps of page and worker after a collection, and the GPU buffers that are alive, stay where they were.
import { writeFile } from 'node:fs/promises';
import { type CDPSession, expect, type Page } from '@playwright/test';
import { tinyModel } from '../src/client/tinyModel.fixture.ts';
import type { ConnectOptions } from '../src/client/types.ts';
import { attachExit } from '../src/model/attachExit.ts';
import { nodeShapeProbe as probe } from '../src/model/probeNode.ts';
import { node, model as onnx, value, weight } from '../src/model/testGraphs.fixture.ts';
import { test as base, type Globals, openPage, startTail, stopTail } from './fixtures.ts';

/** Ten times as long where there is time. */
const LONG = process.env.ISTHMUS_ENDURANCE ? 10 : 1;
/** Fifty sessions, or as many as there is time for. */
const SESSIONS = { most: 50 * LONG, least: 5, ms: 12_000 * LONG };
/** Until then code is compiled and pools find their size: 0.5 MiB in ten sessions, 0.1 MiB in the next two hundred. */
const FIRST_SESSIONS = 10;

/** The tiny model with an exit that is asked and never sure, so that every way of a run is walked. */
const test = base.extend<object, { address: string }>({
  address: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern
    async ({}, use) => {
      await using model = await tinyModel();
      const end = onnx({
        nodes: [
          node('GlobalAveragePool', 'r1', 'g'),
          node('Flatten', 'g', 'f'),
          node('Gemm', 'f w b', 'logits', { transB: 1 }),
        ],
        inputs: [value('r1', ['N', 4, 8, 8])],
        outputs: [value('logits', ['N', 5])],
        weights: [weight('w', [5, 4]), weight('b', [5])],
      });
      const { manifest, files } = await attachExit(model.manifest, {
        ...{ name: 'early', cut: 'r1', onnx: end, probe },
      });
      for (const [file, bytes] of files) await writeFile(model.path(file), bytes);
      const threshold = { rule: 'confidence', value: 1.5, agreement: 1, coverage: 0 };
      const exits = manifest.exits!.map((exit) => ({ ...exit, threshold }));
      await writeFile(model.path('manifest.json'), JSON.stringify({ ...manifest, exits }));
      const { url, process: child } = await startTail(model.folder, ['--cors', '*']);
      await use(`${url}/models/tiny`);
      await stopTail(child);
    },
    { scope: 'worker', timeout: 60_000 },
  ],
});

test.beforeEach(async ({ page, pages }) => {
  // Counts the GPU buffers of the worker that are alive.
  await page.addInitScript(() => {
    const counted = `let alive = 0;
      const device = globalThis.GPUDevice?.prototype;
      const create = device?.createBuffer;
      if (device) device.createBuffer = function (...args) {
        const buffer = create.apply(this, args);
        const destroy = buffer.destroy.bind(buffer);
        let there = ++alive > 0;
        buffer.destroy = () => {
          if (there) alive--;
          there = false;
          destroy();
        };
        return buffer;
      };
      const told = new BroadcastChannel('alive');
      told.onmessage = ({ data }) => data === 'ask' && told.postMessage(alive);`;
    globalThis.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        const script = `${counted}\nimport ${JSON.stringify(String(new URL(url, location.href)))};`;
        super(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), options);
      }
    };
  });
  await openPage(page, pages); // its own tail is not there, so that its own session does not start
});

async function open(page: Page, address: string, options: ConnectOptions): Promise<void> {
  await page.evaluate(
    async ([url, given]) => {
      const g = globalThis as unknown as Globals;
      g.session = await g.isthmus.connect(url, { cut: 'p', ...given });
    },
    [address, options] as const,
  );
}

/** Streams frames of a canvas, pixels and pictures in turn; an answer differs from frame to frame. */
function stream(page: Page, frames: number): Promise<{ answered: number; told: number }> {
  return page.evaluate(async (frames) => {
    const { session } = globalThis as unknown as Globals;
    const canvas = new OffscreenCanvas(48, 48);
    const context = canvas.getContext('2d', { willReadFrequently: true })!;
    async function* source() {
      for (let i = 0; i < frames; i++) {
        context.fillStyle = `hsl(${7 * i} 80% ${20 + ((3 * i) % 60)}%)`;
        context.fillRect(0, 0, 48, 48);
        yield i % 2 ? canvas : context.getImageData(0, 0, 48, 48);
      }
    }
    const seen = { answered: 0, told: 0 };
    const onProvisional = () => void seen.told++;
    for await (const { report, repeated } of session.stream(source(), {
      similarity: 0.999,
      onProvisional,
      deadlineMs: 60_000,
    })) {
      if (report.ran === 'split') seen.answered++;
      if (repeated) seen.told++; // with the frame that it repeats
    }
    return seen;
  }, frames);
}

/** Reads heaps of the page and of its workers, garbage collected. */
async function heapsOf(page: Page): Promise<() => Promise<{ page: number; worker: number }>> {
  const cdp = await page.context().newCDPSession(page);
  const workers = new Set<string>();
  cdp.on('Target.attachedToTarget', ({ sessionId }) => workers.add(sessionId));
  cdp.on('Target.detachedFromTarget', ({ sessionId }) => workers.delete(sessionId));
  await cdp.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const used = async (send: (method: string) => Promise<unknown>) => {
    for (let i = 0; i < 3; i++) await send('HeapProfiler.collectGarbage');
    return ((await send('Runtime.getHeapUsage')) as { usedSize: number }).usedSize;
  };
  return async () => {
    let worker = 0;
    for (const id of workers) worker += await used((method) => inWorker(cdp, id, method));
    await page.waitForTimeout(300); // the page hears of what was collected there
    return { page: await used((method) => cdp.send(method as 'Runtime.getHeapUsage')), worker };
  };
}

let ids = 0;
function inWorker(cdp: CDPSession, sessionId: string, method: string): Promise<unknown> {
  const id = ++ids;
  return new Promise((resolve, reject) => {
    const take = ({ message }: { message: string }) => {
      const answer = JSON.parse(message) as { id?: number; result?: unknown; error?: { message: string } };
      if (answer.id !== id) return;
      cdp.off('Target.receivedMessageFromTarget', take);
      if (answer.error) reject(new Error(answer.error.message));
      else resolve(answer.result);
    };
    cdp.on('Target.receivedMessageFromTarget', take);
    cdp
      .send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) })
      .catch(reject);
  });
}

const buffersAlive = (page: Page): Promise<number> =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const channel = new BroadcastChannel('alive');
        channel.onmessage = ({ data }) => {
          channel.close();
          resolve(data as number);
        };
        channel.postMessage('ask');
      }),
  );

/** Objects of the page that are alive after a collection, by class. What a closed session holds is among them if it stays. */
async function aliveIn(page: Page): Promise<Record<string, number>> {
  const cdp = await page.context().newCDPSession(page);
  const alive: Record<string, number> = {};
  for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage');
  for (const name of ['Worker', 'WebSocket', 'MessagePort', 'AbortController']) {
    const { result } = await cdp.send('Runtime.evaluate', { expression: `${name}.prototype` });
    const { objects } = await cdp.send('Runtime.queryObjects', { prototypeObjectId: result.objectId! });
    const { result: length } = await cdp.send('Runtime.callFunctionOn', {
      ...{ objectId: objects.objectId!, functionDeclaration: 'function () { return this.length; }' },
      returnByValue: true,
    });
    alive[name] = length.value as number;
  }
  await cdp.detach(); // with what it looked at
  return alive;
}

const MiB = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;

test('a long stream leaves the heaps of page and worker as they were', async ({ page, address }) => {
  await open(page, address, { device: 'wasm' });
  const heaps = await heapsOf(page);
  await stream(page, 1000); // warm: code is compiled in steps
  const before = await heaps();
  const frames = 1000 * LONG;
  const began = performance.now();
  expect(await stream(page, frames)).toEqual({ answered: frames, told: frames });
  const seconds = (performance.now() - began) / 1000;
  const after = await heaps();
  console.log(
    `${frames} frames in ${seconds.toFixed(1)} s: page ${MiB(before.page)} → ${MiB(after.page)}, worker ${MiB(before.worker)} → ${MiB(after.worker)}`,
  );
  expect(before.worker).toBeGreaterThan(0);
  expect(after.page).toBeLessThan(1.05 * before.page);
  expect(after.worker).toBeLessThan(1.05 * before.worker);
});

test('a stream on the GPU has as many buffers at its end as at its beginning', async ({ page, address }) => {
  await open(page, address, { device: 'webgpu' });
  expect(await stream(page, 6)).toEqual({ answered: 6, told: 6 });
  const before = await buffersAlive(page);
  const frames = 30 * LONG;
  expect(await stream(page, frames)).toEqual({ answered: frames, told: frames });
  const after = await buffersAlive(page);
  console.log(`${frames} frames on the GPU: ${before} → ${after} buffers`);
  expect(before).toBeGreaterThan(0);
  expect(after).toBeLessThanOrEqual(1.05 * before);
});

test('sessions that are opened and closed leave nothing behind', async ({ page, address }) => {
  test.setTimeout(300_000 * LONG); // a session starts in a third of a second, or in ten where others keep both cores
  const cycle = async () => {
    await open(page, address, { device: 'wasm', offline: false });
    expect(await stream(page, 2)).toEqual({ answered: 2, told: 2 });
    await page.evaluate(async () => {
      const g = globalThis as unknown as Partial<Globals>;
      await g.session!.close();
      delete g.session;
    });
  };
  for (let i = 0; i < FIRST_SESSIONS; i++) await cycle();
  const before = await aliveIn(page);
  const heaps = await heapsOf(page);
  const { page: heap } = await heaps();
  const began = performance.now();
  const lasted = () => performance.now() - began;
  let times = 0;
  while (times < SESSIONS.least || (times < SESSIONS.most && lasted() < SESSIONS.ms)) {
    await cycle();
    times++;
  }
  const seconds = (lasted() / 1000).toFixed(1);
  await expect.poll(() => page.workers().length).toBe(0);
  const after = (await heaps()).page;
  const alive = await aliveIn(page);
  console.log(
    `${times} sessions in ${seconds} s: page ${MiB(heap)} → ${MiB(after)}, alive ${JSON.stringify(before)} → ${JSON.stringify(alive)}`,
  );
  // The last session may not be collected yet; one in every session would be many.
  for (const [name, count] of Object.entries(before))
    expect(alive[name], name).toBeLessThan(count + times / 2);
  expect(after).toBeLessThan(1.05 * heap);
});
