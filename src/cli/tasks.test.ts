// `isthmus tasks` as people call it, on a copy of the embedded model: an embedding from its own graph, in a served folder.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomFeeds, runModel } from '../model/node/chain.ts';
import { readManifest } from '../model/node/modelFolder.ts';

const main = new URL('./main.ts', import.meta.url).pathname;
const run = promisify(execFile);
let dir: string;
let folder: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-tasks-'));
  folder = join(dir, 'neck10');
  await cp(new URL('../../models/neck10', import.meta.url).pathname, folder, { recursive: true });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const tasks = (...args: string[]) =>
  run(process.execPath, [main, 'tasks', folder, ...args]).then(
    ({ stdout }) => stdout,
    ({ code, stderr }: { code: number; stderr: string }) => `${code} ${stderr}`,
  );

test('an embedding from the model itself: added, listed, computed, removed', async () => {
  const before = await readManifest(folder);
  const files = (await readdir(folder)).sort();
  const added = await tasks('add', '--name', 'embedding', '--from-tensor', 'features');
  expect(added).toMatch(/embedding +neck2 +features \[N,192\]/);
  const manifest = await readManifest(folder);
  expect(manifest.id).not.toBe(before.id);
  expect(manifest.cuts).toEqual(before.cuts); // profiles and calibration stay
  const [task] = manifest.tasks!;
  const { features } = await runModel(
    join(folder, task!.segments[0]!.file),
    randomFeeds(task!.segments[0]!.inputs),
  );
  expect(features!.dims).toEqual([1, 192]);
  // The embedding is what the classifier reads: it is the mean of a ReLU, so never below 0, and not all 0.
  const values = features!.data as Float32Array;
  expect(values.every((v) => v >= 0)).toBe(true);
  expect(values.some((v) => v > 0)).toBe(true);
  expect(await tasks('remove', '--name', 'embedding')).not.toContain('embedding');
  expect(await readManifest(folder)).toEqual(before);
  expect((await readdir(folder)).sort()).toEqual(files);
});

test('mistakes end with 1 and one line', async () => {
  expect(await tasks('add')).toMatch(/^1 isthmus: OPTION_INVALID: .*--name/);
  expect(await tasks('add', '--name', 'x', '--from-tensor', 'feature')).toMatch(
    /^1 isthmus: OPTION_INVALID: .*'feature'.*features/,
  );
});
