// The page as a person meets it: first click, own photo, bad files, a lost server, a phone, a keyboard, a screen reader.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import AxeBuilder from '@axe-core/playwright';
import { expect, type Page } from '@playwright/test';
import { PRESETS } from '../src/codec/params.ts';
import { pictures, startTail, stopTail, test, webPages } from './fixtures.ts';

const PHONE = { width: 390, height: 844 };

async function open(page: Page, url: string, settings: Record<string, string> = {}): Promise<void> {
  const { device, ...rest } = settings;
  await page.goto(device ? `${url}/?device=${device}` : url);
  await expect(page.locator('html[data-ready=true]')).toBeAttached({ timeout: 120_000 });
  const folded = page.locator('details#settings:not([open]) > summary');
  if ((await folded.count()) > 0 && Object.keys(rest).length > 0) await folded.click();
  for (const [id, value] of Object.entries(rest)) await page.getByTestId(`select-${id}`).selectOption(value);
  await expect(page.locator('html[data-ready=true]')).toBeAttached({ timeout: 120_000 });
}

async function expectAnswer(page: Page, ran: string): Promise<void> {
  await expect(page.getByTestId('ran')).toHaveText(new RegExp(ran, 'i'), { timeout: 120_000 });
  await expect(page.getByTestId('answer-label')).not.toBeEmpty();
  await expect(page.getByTestId('answer-score')).toContainText('%');
}

test('the first click answers, with stage times and rivals, and nothing comes from elsewhere', async ({
  page,
  tail,
}) => {
  const foreign: string[] = [];
  const failed: string[] = [];
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== tail.url) foreign.push(request.url());
  });
  page.on(
    'response',
    (response) => response.status() >= 400 && failed.push(`${response.status()} ${response.url()}`),
  );
  page.on('pageerror', (error) => failed.push(String(error)));
  await open(page, tail.url);
  await page.getByTestId('sample-0').click();
  await expectAnswer(page, 'split');
  await expect(page.getByTestId('stage-bar')).toBeVisible();
  await expect(page.getByTestId('bytes-up')).toContainText(/\d/);
  await expect(page.getByTestId('rivals')).toContainText(/JPEG/);
  const report = await page.evaluate(
    () => (window as unknown as { __isthmusLast: { ms: Record<string, number> } }).__isthmusLast,
  );
  for (const stage of ['preprocess', 'head', 'encode', 'uplink', 'decode', 'tail', 'downlink', 'total']) {
    expect(report.ms[stage], stage).toBeGreaterThanOrEqual(0);
  }
  expect(foreign).toEqual([]);
  expect(failed).toEqual([]);
});

for (const device of ['webgpu', 'wasm']) {
  test(`a photo of one's own on ${device}, and the rival plans on the same photo`, async ({ page, tail }) => {
    const [picture] = await pictures('imagenette', 1);
    await open(page, tail.url, { device });
    await page
      .getByTestId('file-input')
      .setInputFiles({ name: 'photo.jpg', mimeType: 'image/jpeg', buffer: picture!.bytes });
    await expectAnswer(page, 'split');
    await expect(page.getByTestId('device')).toContainText(device === 'webgpu' ? /webgpu/i : /webassembly/i);
    await page.getByTestId('compare-run').click();
    await expect(page.getByTestId('compare')).toContainText(/local/i, { timeout: 120_000 });
    await expect(page.getByTestId('compare')).toContainText(/JPEG/);
  });
}

test('every preset and every mode answers', async ({ page, tail }) => {
  await open(page, tail.url, { device: 'wasm' });
  for (const mode of ['only-local', 'only-remote', 'only-split']) {
    await page.getByTestId('select-mode').selectOption(mode);
    await expect(page.locator('html[data-ready=true]')).toBeAttached({ timeout: 60_000 });
    await page.getByTestId('sample-1').click();
    await expectAnswer(page, mode.slice('only-'.length));
  }
  for (const preset of Object.keys(PRESETS)) {
    await page.getByTestId('select-preset').selectOption(preset);
    await page.getByTestId('sample-0').click();
    await expectAnswer(page, 'split');
    await expect
      .poll(() =>
        page.evaluate(
          () => (window as unknown as { __isthmusLast: { preset: string } }).__isthmusLast.preset,
        ),
      )
      .toBe(preset);
  }
});

test('bad files get a sentence, and the next photo works', async ({ page, tail }) => {
  const scratch = await mkdtemp(join(tmpdir(), 'isthmus-page-'));
  try {
    const huge = join(scratch, 'huge.jpg');
    await writeFile(huge, new Uint8Array(50 * 2 ** 20));
    await open(page, tail.url, { device: 'wasm' });
    await page
      .getByTestId('file-input')
      .setInputFiles({ name: 'letter.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no picture') });
    await expect(page.getByTestId('error')).toContainText(/picture|image/i);
    await page.getByTestId('file-input').setInputFiles(huge);
    await expect(page.getByTestId('error')).toContainText(/large|MB|MiB/i);
    await page.getByTestId('sample-0').click();
    await expectAnswer(page, 'split');
    await expect(page.getByTestId('error')).toBeHidden();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});

test('when the server goes away, prefer-split answers locally and only-split says what to do', async ({
  page,
  tail,
}) => {
  const own = await startTail(tail.folder);
  try {
    await open(page, own.url, { device: 'wasm', mode: 'prefer-split' });
    await page.getByTestId('sample-0').click();
    await expectAnswer(page, 'split');
    // Everything that the local plan needs is here before the link breaks.
    await page.getByTestId('select-mode').selectOption('prefer-local');
    await page.getByTestId('sample-0').click();
    await expectAnswer(page, 'local');
    await stopTail(own.process);
    await page.getByTestId('select-mode').selectOption('prefer-split');
    await page.getByTestId('sample-1').click();
    await expectAnswer(page, 'local');
    await page.getByTestId('select-mode').selectOption('only-split');
    await page.getByTestId('sample-1').click();
    await expect(page.getByTestId('error')).toContainText(/reach|connection|offline/i);
  } finally {
    await stopTail(own.process);
  }
});

test('an endpoint that is not Isthmus is named as such', async ({ page }) => {
  await using pages = await webPages();
  await page.goto(pages.url);
  await expect(page.getByTestId('error')).toContainText(/Isthmus|tail/, { timeout: 60_000 });
});

test('a phone: no sideways scrolling, works by keyboard, passes axe in light and dark', async ({
  page,
  tail,
}) => {
  await page.setViewportSize(PHONE);
  await open(page, tail.url, { device: 'wasm' });
  await page.getByTestId('sample-0').focus();
  await page.keyboard.press('Enter');
  await expectAnswer(page, 'split');
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(PHONE.width);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`)).toEqual([]);
  }
});
