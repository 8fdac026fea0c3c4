// The format of pictures that travel, in real Chromium against the real tail: WebP where it is written and the link is slow, JPEG in a
// browser whose canvas writes no WebP, as Safari's.
import { expect, type Page } from '@playwright/test';
import type { PlanReport } from '../src/client/planTypes.ts';
import type { Report } from '../src/client/resultTypes.ts';
import type { ConnectOptions } from '../src/client/types.ts';
import { address, type Globals, test } from './clientPage.ts';
import type { TcpProxy } from './faults/tcpProxy.ts';
import { openPage } from './fixtures.ts';

interface Seen {
  uploads: Report['upload'][];
  plan: PlanReport | undefined;
}

/** So many runs in a session of its own. */
function photos(page: Page, link: TcpProxy, options: ConnectOptions, times: number): Promise<Seen> {
  return page.evaluate(
    async ([url, given, count]) => {
      const { isthmus } = globalThis as unknown as Globals;
      // Some with more in them than others: pictures that all weigh the same tell nothing about a link.
      const photos = [60, 150, 300, 600, 900].map((shapes) => {
        const canvas = new OffscreenCanvas(200, 150);
        const context = canvas.getContext('2d')!;
        for (let i = 0; i < shapes; i++) {
          context.fillStyle = `hsl(${(i * 47) % 360} 60% ${(i * 31) % 100}%)`;
          context.fillRect((i * 61) % 190, (i * 37) % 140, 25, 18);
        }
        return canvas.transferToImageBitmap();
      });
      await using session = await isthmus.connect(url, {
        ...{ device: 'wasm', transport: 'fetch', exits: 'off' },
        ...given,
      });
      const uploads: Report['upload'][] = [];
      for (let i = 0; i < count; i++) uploads.push((await session.run(photos[i % 5]!)).report.upload);
      return { uploads, plan: session.plan };
    },
    [address(link), options, times] as const,
  );
}

const remotes = ({ plan }: Seen) =>
  plan!.alternatives.flatMap(({ plan, preset, quality }) =>
    plan === 'remote' ? [`${preset} ${quality}`] : [],
  );

test('on a slow link the picture goes as WebP, which the planner weighs against JPEG', async ({
  page,
  link,
  pages,
}) => {
  await openPage(page, pages);
  link.set({ bytesPerSecond: 20_000 }); // a thousand bytes take 50 ms
  const seen = await photos(page, link, { mode: 'only-remote', plan: 'measured' }, 30);
  expect(seen.uploads[0]).toEqual({ format: 'jpeg', quality: 0.85 });
  expect(seen.uploads).toContainEqual({ format: 'webp', quality: 0.5 });
  expect(remotes(seen).sort()).toEqual(['jpeg 0.5', 'webp 0.5']);
});

test('a browser that writes no WebP sends JPEG, and nothing fails', async ({ page, link, pages }) => {
  await page.addInitScript(() => {
    const safari = `const { convertToBlob } = OffscreenCanvas.prototype;
      OffscreenCanvas.prototype.convertToBlob = function (options) {
        return convertToBlob.call(this, options?.type === 'image/webp' ? { type: 'image/png' } : options);
      };`;
    globalThis.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        const script = `import ${JSON.stringify(String(new URL(url, location.href)))};\n${safari}`;
        super(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), options);
      }
    };
  });
  await openPage(page, pages);
  const only = await photos(page, link, { mode: 'only-remote', plan: 'measured' }, 4);
  for (const upload of only.uploads) expect(upload?.format).toBe('jpeg');
  const auto = await photos(page, link, { mode: 'auto' }, 6);
  expect(remotes(auto)).toEqual(['jpeg 0.5']);
});
