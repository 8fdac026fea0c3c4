// `isthmus exits` as people call it, on a copy of the embedded model: its exit removed and added again from the trained file.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readManifest } from '../model/node/modelFolder.ts';

const main = new URL('./main.ts', import.meta.url).pathname;
const trained = new URL('../../training/exits/neck1.onnx', import.meta.url).pathname;
const run = promisify(execFile);
let dir: string;
let folder: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-exits-'));
  folder = join(dir, 'neck10');
  await cp(new URL('../../models/neck10', import.meta.url).pathname, folder, { recursive: true });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const exits = (...args: string[]) =>
  run(process.execPath, [main, 'exits', folder, ...args]).then(
    ({ stdout }) => stdout,
    ({ code, stderr }: { code: number; stderr: string }) => `${code} ${stderr}`,
  );

test('the exit of the embedded model: listed, removed, added', async () => {
  const before = await readManifest(folder);
  const files = (await readdir(folder)).sort();
  expect(await exits()).toMatch(/neck1 +neck1 +[\d,]+ +[\d,]+ +margin ≥ 0\.\d+ +9[89]/);
  expect(await exits('remove', '--name', 'neck1')).toContain('no exits');
  const { exits: [exit] = [], ...bare } = before;
  expect(await readManifest(folder)).toEqual(bare);
  expect((await readdir(folder)).sort()).toEqual(files.filter((file) => file !== exit!.file));
  expect(await exits('add', '--name', 'neck1', '--cut', 'neck1', '--onnx', trained)).toMatch(/never/);
  const { threshold: _, calibration: __, ...attached } = exit!;
  expect(await readManifest(folder)).toEqual({ ...before, exits: [attached] });
  expect((await readdir(folder)).sort()).toEqual(files);
});

test('mistakes end with 1 and one line', async () => {
  expect(await exits('add', '--name', 'x')).toMatch(/^1 isthmus: OPTION_INVALID: .*--onnx and --cut/);
  expect(await exits('add', '--name', 'x', '--cut', 'neck0', '--onnx', trained)).toMatch(
    /^1 isthmus: OPTION_INVALID: .*'neck1' float32 .*'neck0' gives/,
  );
  expect(await exits('remove', '--name', 'x')).toMatch(/^1 isthmus: OPTION_INVALID: .*no exit 'x'/);
});
