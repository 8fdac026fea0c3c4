// S8: everybody who must not come in. The cases are those of src/tail/access.test.ts (HTTP) and src/tail/link/access.test.ts
// (links), run against real tails; here they are counted.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Figure } from './figure.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const TABLES = ['src/tail/access.test.ts', 'src/tail/link/access.test.ts'];

interface Report {
  testResults: { assertionResults: { title: string; status: string }[] }[];
}

export async function refusedAtTheDoor(): Promise<Figure> {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-access-'));
  const file = join(folder, 'report.json');
  const args = [vitest, 'run', '--project', 'node', '--reporter=json', `--outputFile=${file}`, ...TABLES];
  await new Promise((resolve) => execFile(process.execPath, args, { cwd: root }, resolve));
  const { testResults } = JSON.parse(await readFile(file, 'utf8')) as Report;
  await rm(folder, { recursive: true });
  const cases = testResults.flatMap((file) => file.assertionResults);
  const refusals = cases.filter(({ title }) => /refused/.test(title));
  const failed = cases.filter(({ status }) => status !== 'passed');
  const sound = failed.length === 0 && refusals.length >= 20;
  return {
    id: 'S8',
    promise: 'bearer, JWT, tickets, origins; no token in a log or URL',
    reach: '20 negative cases refused',
    measured: `${refusals.length} negative cases refused, ${cases.length - refusals.length} others as they should, ${failed.length} failed`,
    sound,
    kept: sound,
  };
}
