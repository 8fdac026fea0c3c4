// One face over the places where heads can run: this Node process, or a page in headless Chromium on wasm or WebGPU.
import type { Browser, Page } from 'playwright';
import type { Report } from '../src/client/resultTypes.ts';
import { IsthmusError } from '../src/errors.ts';
import { connect } from '../src/index.node.ts';
import type { Manifest } from '../src/model/manifest.ts';

export interface RunChoice {
  mode: 'only-split' | 'only-local' | 'only-remote';
  cut?: string;
  codec?: string;
}

export interface Answer {
  /** Best class. */
  top: number;
  report: Report;
}

export interface BenchSession {
  manifest: Manifest;
  adapter: string;
  run(image: Uint8Array, choice: RunChoice): Promise<Answer>;
  close(): Promise<void>;
}

export interface BenchClient {
  open(endpoint: string): Promise<BenchSession>;
  close(): Promise<void>;
}

export const DEVICES = ['node', 'wasm', 'webgpu'] as const;
export type BenchDevice = (typeof DEVICES)[number];

/**
 * @param page - whether `origin` serves the web app, whose page hosts the heads that run in a browser
 * @throws OPTION_INVALID for an unknown device, a missing browser, or an app that was not built.
 */
export async function benchClient(device: BenchDevice, origin: string, page: boolean): Promise<BenchClient> {
  if (device === 'node') return { open: openInNode, close: async () => {} };
  if (device === 'wasm' || device === 'webgpu') {
    if (page) return openChromium(device, origin);
    throw new IsthmusError(
      'OPTION_INVALID',
      'Measuring in a browser needs the web app: run it in a checkout of Isthmus after `npm run build`.',
    );
  }
  throw new IsthmusError('OPTION_INVALID', `--device is ${DEVICES.join(', ')}, not '${device}'.`);
}

async function openInNode(endpoint: string): Promise<BenchSession> {
  const session = await connect(endpoint, { mode: 'only-remote' });
  return {
    manifest: session.manifest,
    adapter: session.device.adapter,
    async run(image, choice) {
      const { labels, report } = await session.run(image, choice as Parameters<typeof session.run>[1]);
      return { top: labels?.[0]?.index ?? -1, report };
    },
    close: () => session.close(),
  };
}

/** What src/app/main.ts leaves on the page for the console, and for this program. */
interface PageGlobals {
  isthmus: { connect: typeof connect };
  benchSession: Awaited<ReturnType<typeof connect>>;
}

async function openChromium(device: 'wasm' | 'webgpu', origin: string): Promise<BenchClient> {
  const { chromium } = await import('playwright').catch((cause) => {
    throw new IsthmusError(
      'OPTION_INVALID',
      'Measuring in a browser needs Playwright: npm install playwright.',
      { cause },
    );
  });
  const { CHROMIUM_ARGS, ensureChromium } = await import('../scripts/chromium.ts');
  const browser: Browser = await chromium.launch({ executablePath: ensureChromium(), args: CHROMIUM_ARGS });
  const page: Page = await browser.newPage();
  try {
    await page.goto(origin);
    await page.waitForFunction(() => 'isthmus' in globalThis);
  } catch (thrown) {
    await browser.close();
    throw thrown;
  }
  return {
    async open(endpoint) {
      const { manifest, adapter } = await page.evaluate(
        async ([url, wanted]) => {
          const globals = globalThis as unknown as PageGlobals;
          globals.benchSession = await globals.isthmus.connect(url, { device: wanted, mode: 'only-local' });
          return { manifest: globals.benchSession.manifest, adapter: globals.benchSession.device.adapter };
        },
        [endpoint, device] as const,
      );
      return {
        manifest,
        adapter,
        run: (image, choice) =>
          page.evaluate(
            async ([base64, options]) => {
              const { benchSession } = globalThis as unknown as PageGlobals;
              const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
              const { labels, report } = await benchSession.run(
                new Blob([bytes]),
                options as RunOptionsOfSession,
              );
              return { top: labels?.[0]?.index ?? -1, report };
            },
            [Buffer.from(image).toString('base64'), choice] as const,
          ),
        close: () => page.evaluate(() => (globalThis as unknown as PageGlobals).benchSession.close()),
      };
    },
    close: () => browser.close(),
  };
}

type RunOptionsOfSession = Parameters<PageGlobals['benchSession']['run']>[1];
