// A stranger's view: `npm pack`, an empty Vite project, the ten lines of the README, build, run in Chromium.
// Nothing may fail to load and nothing may come from another origin.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@playwright/test';
import { pictures, root, startTail, stopTail, test } from './fixtures.ts';

/** The README's own example, so that it cannot go stale. */
async function readmeExample(): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const code = /<!-- consumer-test -->\s*```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(code, 'README.md holds the example behind <!-- consumer-test -->').toBeTruthy();
  return code!;
}

/** The codec alone, as Node and as a page without WebGPU import it; the GPU's half must load where there is no GPU. */
const CODEC_IN_NODE = `
  import { decodeFrame, FrameReader, openTokens, readTokens } from 'isthmus/codec';
  import { GpuEncoder } from 'isthmus/codec/gpu';
  const hidden = { dtype: 'float16', shape: [1, 4], data: Uint16Array.of(0x3c00, 0, 0xc000, 1) };
  const tokens = openTokens([hidden], { codec: 'raw' });
  const stream = new Blob([tokens.opening, tokens.encode([hidden])]).stream();
  const frames = [];
  for await (const frame of FrameReader.over(stream)) frames.push(frame);
  const [again] = readTokens(frames[0]).decode(frames[1]);
  console.log(decodeFrame(frames[0]).tensors[0].data.join(), again.data.join(), frames[1].length, typeof GpuEncoder.create);
`;

test('the packed package works in an empty Vite project', async ({ page, tail }) => {
  test.setTimeout(600_000);
  const project = await mkdtemp(join(tmpdir(), 'isthmus-consumer-'));
  try {
    const sh = (command: string, args: string[], cwd = project) =>
      execFileSync(command, args, {
        cwd,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip', FORCE_COLOR: '0' }, // plain text to compare with
      });
    const [{ filename }] = JSON.parse(
      sh('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], root),
    ) as [{ filename: string }];
    await writeFile(
      join(project, 'package.json'),
      JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
    );
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    sh('npm', ['install', '--omit=optional', '--no-audit', '--no-fund', '--prefer-offline', `./${filename}`]);
    sh('npm', [
      'install',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      '-D',
      `vite@${devDependencies.vite}`,
      `typescript@${devDependencies.typescript}`,
    ]);

    const said = sh(process.execPath, ['--input-type=module', '-e', CODEC_IN_NODE]);
    expect(said.trim()).toBe('15360,0,49152,1 15360,0,49152,1 16 function');

    const [photo] = await pictures('imagenette', 1);
    await mkdir(join(project, 'public'));
    await writeFile(join(project, 'public/photo.jpg'), photo!.bytes);
    await writeFile(
      join(project, 'index.html'),
      '<!doctype html><meta charset="utf-8"><body><script type="module" src="/main.ts"></script>',
    );
    const example = (await readmeExample()).replace(/https:\/\/tail\.example/g, '');
    await writeFile(join(project, 'main.ts'), example);
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'ES2022',
          module: 'ESNext',
          moduleResolution: 'bundler',
          lib: ['ES2022', 'ESNext.Disposable', 'DOM'],
          strict: true,
          noEmit: true,
          types: [],
        },
        include: ['main.ts'],
      }),
    );
    sh(join(project, 'node_modules/.bin/tsc'), ['-p', '.']);
    sh(process.execPath, [join(project, 'node_modules/vite/bin/vite.js'), 'build']);

    const served = await startTail(tail.folder, ['--app', join(project, 'dist')]);
    const failed: string[] = [];
    const foreign: string[] = [];
    page.on('requestfailed', (request) => failed.push(request.url()));
    page.on(
      'response',
      (response) => response.status() >= 400 && failed.push(`${response.status()} ${response.url()}`),
    );
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol.startsWith('http') && origin !== new URL(served.url).origin) foreign.push(request.url());
    });
    page.on('pageerror', (error) => failed.push(String(error)));
    try {
      await page.goto(served.url);
      await expect(page.locator('body')).toContainText('%', { timeout: 120_000 });
      console.log(`consumer page says: ${(await page.locator('body').textContent())?.slice(0, 200)}`);
      expect(failed).toEqual([]);
      expect(foreign).toEqual([]);
    } finally {
      await stopTail(served.process);
    }
  } finally {
    await rm(project, { recursive: true, force: true });
  }
});
