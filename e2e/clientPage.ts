// What the specs of client faults share: a page in real Chromium whose tail stands behind a proxy, and whose worker and GPU device
// can be taken away at a chosen moment of a run.
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, type Page } from '@playwright/test';
import { assembleFleet } from '../bench/fleet.ts';
import type { Report } from '../src/client/resultTypes.ts';
import { tinyModel } from '../src/client/tinyModel.fixture.ts';
import type { ConnectOptions, RunOptions } from '../src/client/types.ts';
import type { connect } from '../src/index.ts';
import { type TcpProxy, tcpProxy } from './faults/tcpProxy.ts';
import { test as base, startTail, stopTail, type Tail, webPages } from './fixtures.ts';

export interface Globals {
  isthmus: { connect: typeof connect };
  session: Awaited<ReturnType<typeof connect>>;
  workers: Worker[];
  /** Does it now. */
  harm(what: Harm): void;
  /** Called at the next worker's first message. */
  onHello: (() => void) | undefined;
  /** Called at the next request to the tail. */
  onSend: (() => void) | undefined;
}

/** The page comes from a server of its own, so that it is there when its tail, behind a proxy, is not. */
export const test = base.extend<{ link: TcpProxy; pages: string }, { tail: Tail }>({
  tail: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern
    async ({}, use) => {
      await using fleet = await assembleFleet(undefined);
      // One whose head is small, so that a device is soon ready again.
      await using tiny = await tinyModel();
      await cp(join(tiny.folder, 'tiny'), join(fleet.folder, 'tiny'), { recursive: true });
      const { url, process: child } = await startTail(fleet.folder, ['--cors', '*', '--grace', '2']);
      await use({ url, folder: fleet.folder, models: fleet.models, process: child });
      await stopTail(child);
    },
    { scope: 'worker', timeout: 60_000 },
  ],
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern
  async pages({}, use) {
    await using pages = await webPages();
    await use(pages.url);
  },
  async link({ tail }, use) {
    await using link = await tcpProxy(Number(new URL(tail.url).port));
    await use(link);
  },
});

/** Opens the page, so that workers can be terminated from outside and their GPU devices destroyed, as a driver that is reset does it. */
export async function openHarmable(page: Page, pages: string): Promise<void> {
  await page.addInitScript(() => {
    const workers: Worker[] = [];
    const plainFetch = fetch;
    Object.assign(globalThis, {
      workers,
      harm(what: Harm) {
        if (what === 'terminate') workers.at(-1)?.terminate();
        else if (what !== 'none') new BroadcastChannel('lose').postMessage(what);
      },
      fetch: (...args: Parameters<typeof fetch>) => {
        const g = globalThis as unknown as Globals;
        const { onSend } = g;
        if (args[1]?.method === 'POST' && onSend) {
          g.onSend = undefined;
          setTimeout(onSend, 5);
        }
        return plainFetch(...args);
      },
    });
    const losable = `const devices = [];
      let armed;
      new BroadcastChannel('lose').onmessage = ({ data }) => {
        if (data === 'lose') devices.at(-1)?.destroy();
        else armed = { ...data };
      };
      const count = (kind) => {
        if (armed?.[kind] && --armed[kind] === 0) setTimeout(() => devices.at(-1)?.destroy());
      };
      for (const [Class, method, kind] of [
        [globalThis.GPUQueue, 'submit', 'submits'],
        [globalThis.GPUBuffer, 'mapAsync', 'maps'],
      ]) {
        const plain = Class?.prototype[method];
        if (plain) Class.prototype[method] = function (...args) {
          const result = plain.apply(this, args);
          count(kind);
          return result;
        };
      }
      const adapter = globalThis.GPUAdapter?.prototype;
      const requestDevice = adapter?.requestDevice;
      if (adapter) adapter.requestDevice = async function (...args) {
        const device = await requestDevice.apply(this, args);
        devices.push(device);
        return device;
      };`;
    globalThis.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        const script = `import ${JSON.stringify(String(new URL(url, location.href)))};\n${losable}`;
        super(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), options);
        workers.push(this);
        const hello = () => {
          const g = globalThis as unknown as Globals;
          g.onHello?.();
          g.onHello = undefined;
        };
        this.addEventListener('message', hello, { once: true });
      }
    };
  });
  await open(page, pages);
}

export async function open(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.waitForFunction(() => 'isthmus' in globalThis);
}

export const address = (link: TcpProxy, model = 'neck10') => `http://127.0.0.1:${link.port}/models/${model}`;

/** Opens a session that stays in the page. @returns milliseconds */
export function start(
  page: Page,
  link: TcpProxy,
  options: ConnectOptions,
  model = 'neck10',
  { harm, afterMs }: { harm: Harm; afterMs: number } = { harm: 'none', afterMs: 0 },
): Promise<number> {
  return page.evaluate(
    async ([url, given, what, wait]) => {
      const g = globalThis as unknown as Globals;
      const began = performance.now();
      if (what !== 'none') g.onHello = () => setTimeout(() => g.harm(what), wait);
      g.session = await g.isthmus.connect(url, {
        ...{ device: 'wasm', cut: 0, codec: 'raw', exits: 'off' },
        ...given,
      });
      return performance.now() - began;
    },
    [address(link, model), options, harm, afterMs] as const,
  );
}

export interface Answer {
  ms: number;
  /** When it came, by the page's clock. */
  at: number;
  report: Pick<Report, 'ran' | 'degraded'> & { device: string };
  logits: number[];
}
/** `submits: 2`: the device is lost with the second command buffer from now on. */
export type Harm = 'none' | 'terminate' | 'lose' | { submits: number } | { maps: number };

/** Runs input `seed`, and does harm after so many milliseconds or when the request is on its way. Rejects as the run does. */
export function run(
  page: Page,
  seed: number,
  harm: Harm = 'none',
  afterMs: number | 'sent' = 0,
  options: RunOptions = {},
): Promise<Answer> {
  return page.evaluate(
    async ([n, what, wait, given]) => {
      const g = globalThis as unknown as Globals;
      const { session } = g;
      const { name, shape } = session.manifest.inputs[0]!;
      const dims = shape.map((d) => (typeof d === 'number' ? d : 1));
      const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) =>
        Math.sin(i * (0.01 + n)),
      );
      if (typeof what === 'object') {
        g.harm(what);
        await new Promise((resolve) => setTimeout(resolve, 30)); // until it has crossed into the worker
      }
      const began = performance.now();
      const running = session.run({ [name]: { dtype: 'float32', shape: dims, data } }, given);
      if (typeof what === 'string') {
        if (wait === 'sent') g.onSend = () => g.harm(what);
        else setTimeout(() => g.harm(what), wait);
      }
      const { outputs, report } = await running;
      const at = performance.now();
      return {
        ms: at - began,
        at,
        report: {
          ran: report.ran,
          device: report.device.kind,
          ...(report.degraded && { degraded: report.degraded }),
        },
        logits: Array.from(Object.values(outputs)[0]!.data as Float32Array),
      };
    },
    [seed, harm, afterMs, options] as const,
  );
}

/** Split, local and remote compute the same on other hardware. */
export function same(answer: Answer, right: Answer): void {
  const scale = Math.max(...right.logits.map(Math.abs));
  for (const [i, x] of answer.logits.entries())
    expect(Math.abs(x - right.logits[i]!) / scale).toBeLessThan(1e-3);
}
