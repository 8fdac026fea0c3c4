// Runs codecPage.ts in headless Chromium: a Vite server on loopback hands it the sources as they are, so that no build can
// be out of date. One page, one device, for all GPU rows.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright';
import type { ViteDevServer } from 'vite';
import { IsthmusError } from '../src/errors.ts';
import type * as CodecPage from './codecPage.ts';
import { packageRoot } from './datasets.ts';

/** What `--device` can be: no GPU rows, the software adapter, or whatever the machine has. */
export const GPU_DEVICES = ['none', 'swiftshader', 'gpu'] as const;
export type GpuDevice = (typeof GPU_DEVICES)[number];

type Api = Pick<typeof CodecPage, 'open' | 'upload' | 'measure'>;
type Arguments<Name extends keyof Api> = Parameters<Api[Name]>;
type Result<Name extends keyof Api> = Awaited<ReturnType<Api[Name]>>;

export interface GpuPage extends AsyncDisposable {
  adapter: CodecPage.Adapter;
  upload(...args: Arguments<'upload'>): Promise<void>;
  measure(...args: Arguments<'measure'>): Promise<CodecPage.GpuTimes | undefined>;
}

const PATH = '/codec-bench';
const HTML = `<!doctype html><title>isthmus bench codec</title>
<script type="module">import * as page from '/bench/codecPage.ts'; globalThis.codecPage = page;</script>`;

/** @throws IsthmusError OPTION_INVALID outside a checkout, or without a browser */
export async function openGpuPage(device: Exclude<GpuDevice, 'none'>): Promise<GpuPage> {
  if (!existsSync(join(packageRoot, 'bench', 'codecPage.ts')))
    throw new IsthmusError('OPTION_INVALID', 'GPU rows need a checkout of Isthmus; use --device none here.');
  const server = await serve();
  let browser: Browser | undefined;
  try {
    browser = await launch(device);
    const page = await browser.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') console.error(message.text());
    });
    const { port } = server.httpServer!.address() as { port: number };
    await page.goto(`http://127.0.0.1:${port}${PATH}`);
    await page.waitForFunction(() => 'codecPage' in globalThis);
    const opened = browser;
    return {
      adapter: await call(page, 'open', []),
      upload: (...args) => call(page, 'upload', args),
      measure: (...args) => call(page, 'measure', args),
      async [Symbol.asyncDispose]() {
        await opened.close();
        await server.close();
      },
    };
  } catch (thrown) {
    await browser?.close();
    await server.close();
    throw thrown;
  }
}

function call<Name extends keyof Api>(page: Page, name: Name, args: Arguments<Name>): Promise<Result<Name>> {
  return page.evaluate(
    ([which, values]) => {
      const api = (globalThis as unknown as { codecPage: Record<string, (...args: unknown[]) => unknown> })
        .codecPage;
      return api[which]!(...values) as Promise<Result<Name>>;
    },
    [name, args as unknown[]] as const,
  ) as Promise<Result<Name>>;
}

async function serve(): Promise<ViteDevServer> {
  const { createServer } = await import('vite');
  const server = await createServer({
    root: packageRoot,
    configFile: false,
    appType: 'custom',
    logLevel: 'error',
    optimizeDeps: { noDiscovery: true },
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    plugins: [
      {
        name: 'codec-bench',
        configureServer({ middlewares }) {
          middlewares.use(PATH, (_request, response) => {
            response.setHeader('content-type', 'text/html');
            // Isolated pages get a clock of 5 µs instead of 100.
            response.setHeader('cross-origin-opener-policy', 'same-origin');
            response.setHeader('cross-origin-embedder-policy', 'require-corp');
            response.end(HTML);
          });
        },
      },
    ],
  });
  return server.listen();
}

async function launch(device: Exclude<GpuDevice, 'none'>): Promise<Browser> {
  const { chromium } = await import('playwright');
  const { CHROMIUM_ARGS, ensureChromium } = await import('../scripts/chromium.ts');
  const hardware = [
    '--no-sandbox',
    '--enable-unsafe-webgpu',
    '--ignore-gpu-blocklist',
    '--enable-features=Vulkan',
  ];
  return chromium.launch({
    executablePath: ensureChromium(),
    args: device === 'swiftshader' ? CHROMIUM_ARGS : hardware,
  });
}
