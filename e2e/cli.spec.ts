// The command line as a user meets it: the same answers as JSON, and for every bad input one line and exit code 1.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@playwright/test';
import { pictures, root, startTail, stopTail, test, webPages } from './fixtures.ts';

function isthmus(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [join(root, 'dist/cli.js'), ...args], {
    timeout: 120_000,
    env: {
      ...process.env,
      ...{ FORCE_COLOR: undefined, NO_COLOR: undefined }, // both at once make Node print a warning of its own
      ISTHMUS_CACHE: join(scratch, 'cache'),
    },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

let scratch: string;
test.beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'isthmus-cli-'));
});
test.afterAll(() => rm(scratch, { recursive: true, force: true }));

test('run --json prints one array with labels and report', async ({ tail }) => {
  const [picture] = await pictures('imagenette', 1);
  for (const mode of ['only-split', 'only-local', 'only-remote']) {
    const { code, out, err } = await isthmus(
      'run',
      `${tail.url}/models/neck10`,
      picture!.path,
      '--mode',
      mode,
      '--json',
    );
    expect(err).toBe('');
    expect(code).toBe(0);
    const answers = JSON.parse(out) as {
      image: string;
      labels: { index: number; label: string; score: number }[];
      report: { ran: string };
    }[];
    expect(answers).toHaveLength(1);
    expect(answers[0]!.image).toBe(picture!.path);
    expect(answers[0]!.report.ran).toBe(mode.slice('only-'.length));
    expect(answers[0]!.labels[0]!.score).toBeGreaterThan(answers[0]!.labels[1]!.score);
  }
});

test('split makes a folder that serve serves and run answers from', async () => {
  const out = join(scratch, 'models', 'mine');
  const split = await isthmus(
    'split',
    join(root, 'training/neck10.onnx'),
    '--out',
    out,
    '--name',
    'mine',
    '--labels',
    join(root, 'training/labels.json'),
    '--preprocess',
    'imagenet',
  );
  expect(split.err).toBe('');
  expect(split.code).toBe(0);
  const tail = await startTail(join(scratch, 'models'));
  try {
    const [picture] = await pictures('imagenette', 1);
    const { code, out: answer } = await isthmus('run', `${tail.url}/models/mine`, picture!.path);
    expect(code).toBe(0);
    expect(answer).toContain('%');
  } finally {
    expect(await stopTail(tail.process)).toBe(0);
  }
});

test('every bad input is one typed line and exit code 1', async ({ tail }) => {
  const file = async (name: string, content: Uint8Array | string) => {
    await writeFile(join(scratch, name), content);
    return join(scratch, name);
  };
  const notOnnx = await file('not.onnx', '<!doctype html><title>hello</title>');
  const notImage = await file('not.jpg', 'these bytes are no picture');
  const huge = await file('huge.jpg', new Uint8Array(50 * 2 ** 20));
  const truncated = await file(
    'cut.onnx',
    (await readFile(join(root, 'training/neck10.onnx'))).subarray(0, 10_000),
  );
  const endpoint = `${tail.url}/models/neck10`;
  const [picture] = await pictures('imagenette', 1);
  await using pages = await webPages();
  const cases: [string, string[]][] = [
    ['MODEL_INVALID', ['split', notOnnx, '--out', join(scratch, 'a')]],
    ['MODEL_INVALID', ['split', truncated, '--out', join(scratch, 'b')]],
    [
      'CUT_INVALID',
      ['split', join(root, 'training/neck10.onnx'), '--out', join(scratch, 'c'), '--cuts', 'nowhere'],
    ],
    ['MODEL_NOT_FOUND', ['run', `${tail.url}/models/nothing`, picture!.path]],
    ['IMAGE_INVALID', ['run', endpoint, notImage]],
    ['IMAGE_TOO_LARGE', ['run', endpoint, huge]],
    ['CUT_INVALID', ['run', endpoint, picture!.path, '--cut', 'nowhere']],
    ['OPTION_INVALID', ['run', endpoint, picture!.path, '--preset', 'nothing']],
    ['OFFLINE', ['run', 'http://127.0.0.1:9/models/neck10', picture!.path, '--mode', 'only-remote']],
    ['NOT_ISTHMUS', ['run', `${pages.url}/models/neck10`, picture!.path]],
    ['OPTION_INVALID', ['serve', join(scratch, 'no-such-folder')]],
    ['OPTION_INVALID', ['run', endpoint, picture!.path, '--mode', 'sideways']],
  ];
  for (const [expected, args] of cases) {
    const { code, err, out } = await isthmus(...args);
    const told = `${args.join(' ')}\n${err}${out}`;
    expect(code, told).toBe(1);
    expect(err, told).toContain(`${expected}: `);
    expect(err, 'no stack trace').not.toMatch(/\n\s+at /);
  }
});
