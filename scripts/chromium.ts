// Finds a Chromium that can run WebGPU headless: the one named in ISTHMUS_CHROMIUM, one on the PATH, Playwright's own,
// or (with `install`) Debian's package. Used by vitest, Playwright, the benchmarks and the consumer test.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright';

const NAMES = [
  'chromium-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
];

/** WebGPU without a GPU: SwiftShader. `--enable-unsafe-webgpu` is what makes headless Chromium offer an adapter. */
export const CHROMIUM_ARGS = ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

function onPath(): string | undefined {
  for (const name of NAMES) {
    for (const dir of (process.env.PATH ?? '').split(delimiter)) {
      const file = join(dir, name);
      if (existsSync(file)) return file;
    }
  }
  return undefined;
}

/** Path of a usable browser, or undefined. */
export function findChromium(): string | undefined {
  const named = process.env.ISTHMUS_CHROMIUM;
  if (named) return named;
  const own = chromium.executablePath();
  return onPath() ?? (own && existsSync(own) ? own : undefined);
}

/** Finds a browser or installs one: Playwright's download first, Debian's package second. */
export function ensureChromium(): string {
  const found = findChromium();
  if (found) return found;
  console.log('No Chromium here; trying Playwright’s download …');
  spawnSync('npx', ['playwright', 'install', 'chromium-headless-shell'], {
    stdio: 'inherit',
    timeout: 300_000,
  });
  const downloaded = findChromium();
  if (downloaded) return downloaded;
  console.log('That did not work; trying Debian’s package …');
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    execFileSync('apt-get', ['update'], { stdio: 'inherit' });
    execFileSync('apt-get', ['install', '-y', 'chromium-headless-shell'], { stdio: 'inherit' });
  }
  const packaged = findChromium();
  if (packaged) return packaged;
  throw new Error(
    'The tests need Chromium and none could be installed. Install one (Debian: apt-get install chromium-headless-shell; ' +
      'elsewhere: npx playwright install chromium) or name it in ISTHMUS_CHROMIUM.',
  );
}
