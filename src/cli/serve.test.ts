// `isthmus serve` as a process: what it prints, how it fails, how it stops.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { testModels } from '../tail/testModels.fixture.ts';

let dir: string;
const running: ChildProcess[] = [];

/** The command alone: the other subcommands would only slow the start down. */
const PROGRAM = `
  import { Command } from 'commander';
  import { registerServe } from './src/cli/serve.ts';
  const program = new Command('isthmus');
  registerServe(program);
  await program.parseAsync(process.argv.slice(1), { from: 'user' }).catch((e) => {
    console.error(e.code + ': ' + e.message);
    process.exitCode = 1;
  });
`;

beforeAll(async () => {
  ({ dir } = await testModels());
});
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

function serve(...args: string[]): { child: ChildProcess; text: () => string; errors: () => string } {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, '--', 'serve', ...args], {
    cwd: new URL('../..', import.meta.url),
  });
  running.push(child);
  let text = '';
  let errors = '';
  child.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr!.on('data', (chunk) => {
    errors += chunk;
  });
  return { child, text: () => text, errors: () => errors };
}

async function started(...args: string[]): Promise<ReturnType<typeof serve> & { url: string }> {
  const process = serve(...args);
  for (let i = 0; i < 600 && !process.text().includes('listening'); i++) {
    if (process.child.exitCode !== null) throw new Error(process.errors());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { ...process, url: /^listening on (http:\/\/127\.0\.0\.1:\d+)$/m.exec(process.text())![1]! };
}

async function failed(...args: string[]): Promise<string> {
  const { child, errors } = serve(...args);
  await once(child, 'exit');
  expect(child.exitCode).toBe(1);
  expect(errors()).not.toMatch(/^\s+at /m);
  return errors();
}

test('prints its address and models, answers, and SIGTERM ends it with exit code 0', async () => {
  const { child, url, text, errors } = await started(dir, '--port', '0', '--threads', '1');
  await expect.poll(text, { timeout: 10_000 }).toContain(`model ${url}/models/tiny`); // the lines come one by one
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  expect(errors()).toContain('GET /healthz');
});

test('--quiet has no line per request', async () => {
  const { child, url, errors } = await started(dir, '--port', '0', '--quiet');
  await fetch(`${url}/healthz`);
  const exit = once(child, 'exit');
  child.kill('SIGINT');
  expect((await exit)[0]).toBe(0);
  expect(errors()).not.toContain('healthz');
});

test('says what is wrong with a folder, a port, an option', async () => {
  const { url } = await started(dir, '--port', '0', '--quiet');
  expect(await failed(dir, '--port', new URL(url).port)).toContain('is in use');
  expect(await failed(join(dir, 'absent'))).toContain('cannot be read');
  expect(await failed(await mkdtemp(join(tmpdir(), 'isthmus-empty-')))).toContain('holds no models');
  expect(await failed(dir, '--port', '99999')).toContain('from 0 to 65535');
  expect(await failed(dir, '--port', '0', '--app', dir)).toContain('index.html');
});

test('--print-config shows what holds, where it came from, and starts nothing', async () => {
  const file = join(dir, 'tail.json');
  await writeFile(file, JSON.stringify({ models: dir, threads: 1, tokens: ['shop:hush-hush-hush-hush'] }));
  const { child, text, errors } = serve('--config', file, '--port', '0', '--no-watch', '--print-config');
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(JSON.parse(text())).toMatchObject({
    models: dir,
    threads: 1,
    port: 0,
    watch: false,
    tokens: '(hidden)',
  });
  expect(errors()).toContain('port: from --port');
  expect(errors()).toContain(`threads: from 'threads' in ${file}`);
  expect(text() + errors()).not.toContain('hush');
  expect(await failed('--port', '0')).toContain('No folder of models is named');
});
