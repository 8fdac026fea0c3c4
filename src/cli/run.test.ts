// `isthmus run` as a process, against a real tail: what it prints, and how it ends.
import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { servedTiny } from '../client/served.fixture.ts';
import { drawnPicture } from '../client/tinyModel.fixture.ts';
import { closedPort } from '../transport/localServer.fixture.ts';

const { tail, address: url } = await servedTiny();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-run-'));
  await writeFile(join(folder, 'a.png'), await drawnPicture());
  await writeFile(join(folder, 'b.jpg'), await drawnPicture('jpeg', 90, 70));
  await writeFile(join(folder, 'bad.jpg'), 'this is no picture');
});

/** main.ts in small: the same program, without the other commands' dependencies. */
const MAIN = `
  import { Command } from ${JSON.stringify(pathToFileURL(createRequire(import.meta.url).resolve('commander')).href)};
  import { registerRun } from ${JSON.stringify(new URL('./run.ts', import.meta.url).href)};
  const program = new Command('isthmus');
  registerRun(program);
  await program.parseAsync().catch((e) => {
    process.stderr.write('isthmus: ' + e.code + ': ' + e.message + '\\n');
    process.exitCode = 1;
  });`;

function isthmus(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, ISTHMUS_CACHE: join(folder, 'cache') };
    const argv = ['--input-type=module', '--eval', MAIN, '--', 'run', ...args];
    execFile(process.execPath, argv, { cwd: folder, env, timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

test('--json prints one array and nothing else', async () => {
  const { code, stdout, stderr } = await isthmus(
    url,
    'a.png',
    'b.jpg',
    '--json',
    '--cut',
    'p',
    '--preset',
    'raw',
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const entries = JSON.parse(stdout);
  expect(entries.map((e: { image: string }) => e.image)).toEqual(['a.png', 'b.jpg']);
  for (const { labels, report } of entries) {
    expect(labels).toHaveLength(5);
    expect(labels[0]).toEqual({
      index: expect.any(Number),
      label: expect.stringMatching(/^(ant|bee|cat|dog|elk)$/),
      score: expect.any(Number),
    });
    expect(report).toMatchObject({ ran: 'split', cut: 'p', preset: 'raw', bytes: { raw: 384 } });
  }
});

test('people get a few lines per picture', async () => {
  const { code, stdout } = await isthmus(url, 'a.png', '--mode', 'only-local', '--top', '2');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^a\.png: \w+ \d+\.\d %, \w+ \d+\.\d %\n {2}local\n {2}ms: preprocess .* total [\d.]+\n$/,
  );
});

test('one bad picture among good ones: the others are answered, exit code 1, no stack', async () => {
  const json = await isthmus(url, 'bad.jpg', 'a.png', 'missing.jpg', '--json', '--mode', 'only-remote');
  expect(json.code).toBe(1);
  const [bad, good, missing] = JSON.parse(json.stdout);
  expect(bad).toMatchObject({ image: 'bad.jpg', error: { code: 'IMAGE_INVALID' } });
  expect(good.report.ran).toBe('remote');
  expect(missing.error.code).toBe('IMAGE_INVALID');
  expect(json.stderr).toMatch(
    /^isthmus: IMAGE_INVALID: bad\.jpg: .*\nisthmus: IMAGE_INVALID: missing\.jpg: .*\n$/,
  );
  const text = await isthmus(url, 'bad.jpg', 'a.png');
  expect(text.code).toBe(1);
  expect(text.stdout).toContain('a.png: ');
  expect(text.stderr).not.toMatch(/\n\s+at /);
});

test('an endpoint that is wrong: one line on stderr, nothing on stdout, exit code 1', async () => {
  for (const [endpoint, said] of [
    [`${tail.url}/models/other`, /^isthmus: MODEL_NOT_FOUND: .*tiny.*\n$/],
    [`${await closedPort()}/models/tiny`, /^isthmus: OFFLINE: .*isthmus serve.*\n$/],
    ['tiny', /^isthmus: OPTION_INVALID: .*\n$/],
  ] as const) {
    const { code, stdout, stderr } = await isthmus(endpoint, 'a.png', '--json');
    expect({ code, stdout }, endpoint).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(said);
  }
});

test('options that do not exist are refused with those that do', async () => {
  expect((await isthmus(url, 'a.png', '--mode', 'fast')).stderr).toContain('prefer-split');
  expect((await isthmus(url, 'a.png', '--preset', 'zip')).stderr).toContain('slicer-small');
  expect((await isthmus(url, 'a.png', '--top', 'x')).code).toBe(1);
  expect((await isthmus(url, 'a.png', '--cut', 'nix')).stderr).toMatch(/^isthmus: CUT_INVALID: .*r1, p/);
});
