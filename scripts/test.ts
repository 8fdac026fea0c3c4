// `npm test`: everything, from types to real browsers. Finds or installs Chromium, runs each stage to its end even when
// one fails, says what was not run and what passed only on a retry, and closes with "N passed, N failed".
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureChromium } from './chromium.ts';
import { root, run, step } from './run.ts';
import { type Counts, ofPlaywright, ofVitest } from './testReports.ts';

process.env.ISTHMUS_CHROMIUM = ensureChromium();
const data = process.env.ISTHMUS_DATA ?? join(root, '..', 'shared', 'data');
const scratch = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
const total: Counts = { passed: 0, failed: 0, skipped: 0, flaky: [] };

function count(part: Partial<Counts>): void {
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += part[key] ?? 0;
  total.flaky.push(...(part.flaky ?? []));
}

async function countFile(
  name: string,
  file: string,
  code: number,
  read: (json: never) => Counts,
): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const part: Partial<Counts> = text ? read(JSON.parse(text) as never) : {};
  // A runner that died before or after its tests has failed even when no single test did.
  if (code !== 0 && !part.failed) part.failed = 1;
  console.log(
    `${name}: ${part.passed ?? 0} passed, ${part.failed ?? 0} failed, ${part.skipped ?? 0} skipped\n`,
  );
  count(part);
}

console.log('── check: types, lint, import rule, unused exports');
const check = await run('node', ['scripts/check.ts']);
count(check.code === 0 ? { passed: 1 } : { failed: 1 });

console.log('── build: library, tail, CLI, web app');
const build = await run('node', ['scripts/build.ts']);
count(build.code === 0 ? { passed: 1 } : { failed: 1 });

const published = await step('package exports (publint)', 'publint', ['--strict']);
count(published.code === 0 ? { passed: 1 } : { failed: 1 });

const projects = [
  // As many at once as there are cores; more, or the browser's stage beside it, gains nothing (both measured).
  { project: 'node', workers: 2 },
  { project: 'faults', workers: 2 },
  { project: 'browser', workers: 1 },
];
/** Specs that mostly wait: for installs, processes and links that are cut. They run beside the browser's stage, which computes. */
const WAITING = ['cli', 'consumer', 'downloads', 'clientCaution', 'clientFaults'].map(
  (n) => `e2e/${n}.spec.ts`,
);
const endToEnd = async (name: string, specs: readonly string[], quiet: boolean) => {
  const file = join(scratch, `${name}.json`);
  const args = ['test', '--retries=1', '--reporter=list,json', `--output=test-results/${name}`, ...specs];
  const { code, output } = await run('playwright', args, {
    quiet,
    env: { PLAYWRIGHT_JSON_OUTPUT_FILE: file },
  });
  return { file, code, output };
};
let beside: ReturnType<typeof endToEnd> | undefined;
for (const { project, workers } of projects) {
  console.log(`── vitest, project ${project}`);
  if (project === 'browser') beside = endToEnd('waiting', WAITING, true);
  const file = join(scratch, `${project}.json`);
  const { code } = await run('vitest', [
    'run',
    '--project',
    project,
    `--maxWorkers=${workers}`,
    // Real sockets, processes and clocks on cores that are shared: what misses once is run again, and named at the end.
    '--retry=1',
    '--reporter=dot',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  await countFile(`vitest ${project}`, file, code, ofVitest);
}

console.log('── Playwright: the built page, CLI and package against the real tail');
if (beside) {
  const { file, code, output } = await beside;
  process.stdout.write(output);
  await countFile('playwright, beside the browser stage', file, code, ofPlaywright);
}
const others = (await readdir(join(root, 'e2e')))
  .filter((name) => name.endsWith('.spec.ts'))
  .map((name) => `e2e/${name}`)
  .filter((spec) => !WAITING.includes(spec));
const { file, code } = await endToEnd('computing', others, false);
await countFile('playwright', file, code, ofPlaywright);

await rm(scratch, { recursive: true, force: true });
if (!existsSync(data)) {
  console.log('Not run: everything that needs real photos and models (set ISTHMUS_DATA to their folder).');
}
for (const name of total.flaky)
  console.log(`Passed only when it was run again: ${name.replace(`${root}/`, '')}`);
console.log(`${total.flaky.length} flaky`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);
