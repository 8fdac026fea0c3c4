// What a browser can write, found out in the worker where it is written: this Chromium, and one whose canvas gives a PNG in the place of
// a WebP, as Safari's does.
import { afterEach, expect, test } from 'vitest';
import type { HeadRuntime, RuntimeInput } from '../head/runtime.ts';
import { tinyModel } from '../head/tinyModel.fixture.ts';
import { readFrame } from '../wire/readFrame.ts';
import { spawnRuntime } from './spawn.ts';

const { manifest } = await tinyModel();
const picture: RuntimeInput = {
  kind: 'pixels',
  pixels: { width: 40, height: 30, data: new Uint8ClampedArray(4 * 40 * 30).fill(255) },
};

const open: HeadRuntime[] = [];
afterEach(async () => {
  for (const runtime of open.splice(0)) await runtime.close();
});

/** @param before code that the worker runs first */
async function spawn(before: string): Promise<HeadRuntime> {
  const modules = [
    `data:text/javascript,${encodeURIComponent(before)}`,
    new URL('./entry.ts', import.meta.url).href,
  ];
  const script = modules.map((module) => `import ${JSON.stringify(module)};`).join('');
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const runtime = await spawnRuntime({
    device: 'wasm',
    worker: () => new Worker(url, { type: 'module' }),
  });
  open.push(runtime);
  await runtime.load({ manifest, artifacts: '/nothing-is-fetched' }, -1);
  return runtime;
}

const asSafari = `const { convertToBlob } = OffscreenCanvas.prototype;
  OffscreenCanvas.prototype.convertToBlob = function (options) {
    return convertToBlob.call(this, options?.type === 'image/webp' ? { type: 'image/png' } : options);
  };`;

async function sent(runtime: HeadRuntime, format: 'jpeg' | 'webp'): Promise<string> {
  const { payload } = readFrame((await runtime.remote(picture, format, 0.8)).frame).tensors[0]!;
  return new TextDecoder('latin1').decode(payload.subarray(0, 12));
}

test('Chromium writes both', async () => {
  const runtime = await spawn('');
  expect(await runtime.formats!()).toEqual(['jpeg', 'webp']);
  expect(await sent(runtime, 'jpeg')).toMatch(/^\xff\xd8\xff/);
  expect(await sent(runtime, 'webp')).toMatch(/^RIFF.{4}WEBP/s);
});

test('where a PNG comes in the place of a WebP it is JPEG only, and WebP by name says so', async () => {
  const runtime = await spawn(asSafari);
  expect(await runtime.formats!()).toEqual(['jpeg']);
  expect(await sent(runtime, 'jpeg')).toMatch(/^\xff\xd8\xff/);
  await expect(sent(runtime, 'webp')).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});
