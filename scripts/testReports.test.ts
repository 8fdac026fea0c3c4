// Counts of a real run of vitest: what passed only when it was run again is told by name.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { root } from './run.ts';
import { ofPlaywright, ofVitest } from './testReports.ts';

const TESTS = `
  let runs = 0;
  test('at once', () => {});
  describe('group', () => {
    test('at the second try', () => expect(++runs).toBe(2));
  });
  test('never', () => expect(1).toBe(2));
  test.skip('not at all', () => {});
`;

test('vitest: passed at once, on a retry, never, not at all', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-reports-'));
  try {
    await writeFile(join(folder, 'some.test.js'), TESTS);
    const file = join(folder, 'report.json');
    const bin = join(root, 'node_modules', 'vitest', 'vitest.mjs');
    const options = [
      '--root',
      folder,
      '--globals',
      '--retry=1',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ];
    const ran = promisify(execFile)(process.execPath, [bin, 'run', ...options], { cwd: folder });
    await expect(ran).rejects.toMatchObject({ code: 1 }); // one of them fails
    const { flaky, ...counts } = ofVitest(JSON.parse(await readFile(file, 'utf8')));
    expect(counts).toEqual({ passed: 2, failed: 1, skipped: 1 });
    expect(flaky).toEqual([expect.stringMatching(/some\.test\.js: group at the second try$/)]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('Playwright: flaky ones count as passed and are told by name, however deep they lie', () => {
  const spec = (title: string, status: string) => ({ file: 'a.spec.ts', title, tests: [{ status }] });
  const report = {
    stats: { expected: 1, unexpected: 0, flaky: 1, skipped: 2 },
    suites: [{ specs: [spec('good', 'expected')], suites: [{ specs: [spec('twice', 'flaky')] }] }],
  };
  expect(ofPlaywright(report)).toEqual({ passed: 2, failed: 0, skipped: 2, flaky: ['a.spec.ts: twice'] });
});
