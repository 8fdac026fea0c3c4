// The command and the scripts on a Node that is too old: one line that says what to do, and 1. Under a real old Node where this
// machine has one beside the one of the tests.
import { execFile, execFileSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { nodeTooOld } from './nodeVersion.ts';

const elsewhere = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

/** Another Node of this machine, where it is too old. */
function oldNode(): string | undefined {
  try {
    const print = ['-p', 'JSON.stringify([process.execPath, process.versions.node])'];
    const out = execFileSync('node', print, { env: { PATH: elsewhere }, encoding: 'utf8' });
    const [path, version] = JSON.parse(out) as [string, string];
    return nodeTooOld(version) && path;
  } catch {
    return undefined;
  }
}
const old = oldNode();
if (!old) console.warn('No Node before 22.12 on this machine: what one says is tested by its version alone.');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-old-node-'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  for (const name of ['main', 'nodeVersion']) {
    const source = await readFile(new URL(`./${name}.ts`, import.meta.url), 'utf8');
    await writeFile(join(folder, `${name}.js`), stripTypeScriptTypes(source).replaceAll(".ts'", ".js'"));
  }
  // What old versions lack, as the rest of the command imports it.
  const rest = "import { isMarkedAsUntransferable } from 'node:worker_threads';";
  await writeFile(
    join(folder, 'runCommand.js'),
    `${rest}\nexport const runCommand = () => console.error(typeof isMarkedAsUntransferable);`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (node: string, ...args: string[]) =>
  new Promise<{ code: number; err: string }>((resolve) => {
    execFile(node, args, { env: { PATH: elsewhere } }, (error, _, err) =>
      resolve({ code: Number(error?.code ?? 0), err }),
    );
  });

test('versions before the one that package.json asks for are told, later ones are not', () => {
  expect(packageJson.engines.node).toBe('>=22.12');
  for (const version of ['16.20.2', '18.0.0', '20.20.2', '22.11.0', '21.7.3'])
    expect(nodeTooOld(version), version).toMatch(
      new RegExp(`^isthmus: NODE_TOO_OLD: This is Node ${version}; Isthmus needs 22.12 or later. .+$`),
    );
  for (const version of ['22.12.0', '22.12.0-nightly2024', '23.0.0', '24.1.0', '100.0.0'])
    expect(nodeTooOld(version), version).toBeUndefined();
});

test('the command loads nothing but that check on an old Node, and everything on a new one', async () => {
  const now = await run(process.execPath, join(folder, 'main.js'));
  expect(now).toEqual({ code: 0, err: 'function\n' });
  if (!old) return;
  const { code, err } = await run(old, join(folder, 'main.js'), 'serve', 'models');
  expect(code).toBe(1);
  expect(err).toMatch(/^isthmus: NODE_TOO_OLD: .*22\.12.*\n$/);
});

test('scripts say what is missing: an installation, or a newer Node', async () => {
  const scripts = join(folder, 'scripts');
  await cp(fileURLToPath(new URL('../../scripts/go.mjs', import.meta.url)), join(scripts, 'go.mjs'));
  const bare = await run(process.execPath, join(scripts, 'go.mjs'), 'start');
  expect(bare.code).toBe(1);
  expect(bare.err).toMatch(/^isthmus: nothing is installed yet\. Run `npm install`.*`npm start`\)\.\n$/);
  if (!old) return;
  const { code, err } = await run(
    old,
    fileURLToPath(new URL('../../scripts/go.mjs', import.meta.url)),
    'check',
  );
  expect(code).toBe(1);
  expect(err).toMatch(
    /^isthmus: this is Node [\d.]+, and 22\.18 or later is needed\. .*`npm run check`\)\.\n$/,
  );
});
