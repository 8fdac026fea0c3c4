// What the specs of client faults share: a page in real Chromium whose tail stands behind a proxy, and whose worker and GPU device
// can be taken away at a chosen moment of a run.
import { cp } from 'node:fs/promises';
import { expect, type Page } from '@playwright/test';
import type { Report } from '../src/client/resultTypes.ts';
import { tinyModel } from '../src/client/tinyModel.fixture.ts';
import type { ConnectOptions, RunOptions } from '../src/client/types.ts';
import { type TcpProxy, tcpProxy } from './faults/tcpProxy.ts';
import { test as base, fleetTail, openPage, type Globals as PageGlobals, type Tail } from './fixtures.ts';

/** What the page's workers and devices went through so far. */
export interface Seen {
  workers: number;
  devices: number;
  /** Workers terminated and devices destroyed by {@link Globals.harm}, each of them alive until then. */
  harmed: number;
}

export interface Globals extends PageGlobals {
  workers: Worker[];
  seen: Seen;
  /** Does it now; what is not there at this moment is hit as soon as it is. */
  harm(what: Harm): void;
  /** Called at the next worker's first message. */
  onHello: (() => void) | undefined;
  /** Called at the next request to the tail. */
  onSend: (() => void) | undefined;
}

/** The page comes from a server of its own, so that it is there when its tail, behind a proxy, is not. */
export const test = base.extend<{ link: TcpProxy }, { tail: Tail }>({
  tail: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern
    async ({}, use) => {
      // One whose head is small, so that a device is soon ready again.
      await using tiny = await tinyModel();
      await using tail = await fleetTail(
        undefined,
        ['--cors', '*', '--grace', '2', '--model-grace', '0.05'],
        (folder) => cp(tiny.folder, folder, { recursive: true }),
      );
      await use(tail);
    },
    { scope: 'worker', timeout: 60_000 },
  ],
  async link({ tail }, use) {
    await using link = await tcpProxy(Number(new URL(tail.url).port));
    await use(link);
  },
});

/** Opens the page, so that workers can be terminated from outside and their GPU devices destroyed, as a driver that is reset does it. */
export async function openHarmable(page: Page, pages: string): Promise<void> {
  await page.addInitScript(() => {
    const workers: Worker[] = [];
    const ended = new WeakSet<Worker>();
    const seen: Seen = { workers: 0, devices: 0, harmed: 0 };
    let due = false; // a worker is to be terminated, and none is alive
    const plainFetch = fetch;
    const endLast = () => {
      const last = workers.at(-1);
      due = !last || ended.has(last);
      if (due) return;
      last!.terminate();
      seen.harmed++;
    };
    const losing = new BroadcastChannel('lose');
    new BroadcastChannel('seen').onmessage = ({ data }) => void seen[data as 'devices' | 'harmed']++;
    Object.assign(globalThis, {
      workers,
      seen,
      harm(what: Harm) {
        if (what === 'terminate') endLast();
        else if (what !== 'none') losing.postMessage(what);
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
    const losable = `let alive, armed, due = false;
      const told = new BroadcastChannel('seen');
      const lose = () => {
        due = !alive;
        if (due) return;
        alive.destroy();
        alive = undefined;
        told.postMessage('harmed');
      };
      new BroadcastChannel('lose').onmessage = ({ data }) => {
        if (data === 'lose') lose();
        else armed = { ...data };
      };
      const count = (kind) => {
        if (armed?.[kind] && --armed[kind] === 0) setTimeout(lose);
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
        alive = device;
        device.lost.then(() => {
          if (alive === device) alive = undefined;
        });
        told.postMessage('devices');
        if (due) setTimeout(lose);
        return device;
      };`;
    globalThis.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        const script = `import ${JSON.stringify(String(new URL(url, location.href)))};\n${losable}`;
        super(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), options);
        workers.push(this);
        seen.workers++;
        const hello = () => {
          if (due) endLast();
          const g = globalThis as unknown as Globals;
          g.onHello?.();
          g.onHello = undefined;
        };
        this.addEventListener('message', hello, { once: true });
      }
      override terminate(): void {
        ended.add(this);
        super.terminate();
      }
    };
  });
  await openPage(page, pages);
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

/** Runs input `seed`, and does harm at once, after so many milliseconds or when the request is on its way. Rejects as the run does. */
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
        else if (wait === 0) g.harm(what);
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
