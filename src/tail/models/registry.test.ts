import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addTiny, testModels } from '../testModels.fixture.ts';
import { byVersion } from './modelFolders.ts';
import { loadRegistry } from './modelStore.ts';

test('a folder of models, and one model folder', async () => {
  const { dir, tiny } = await testModels();
  const all = await loadRegistry(dir);
  expect([...all.models.keys()].sort()).toEqual(['slow', 'tiny']);
  expect(all.artifacts.size).toBe(4);
  expect(all.skipped).toEqual([]);
  const one = await loadRegistry(join(dir, 'tiny'));
  expect([...one.models.keys()]).toEqual(['tiny']);
  const model = one.models.get('tiny')!;
  expect(model.bytes).toBe(tiny.segments.reduce((sum, s) => sum + s.bytes, 0));
  expect(model.etag).toContain(tiny.id);
});

test('broken models are named and skipped, the others are served', async () => {
  const { dir } = await testModels();
  await addTiny(dir, 'flipped');
  const file = join(dir, 'flipped', 's1.onnx');
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(file, bytes);
  await addTiny(dir, 'short');
  await truncate(join(dir, 'short', 's0.onnx'), 10);
  await addTiny(dir, 'nojson');
  await writeFile(join(dir, 'nojson', 'manifest.json'), '{');
  const other = await addTiny(dir, 'tampered');
  const tampered = { ...other, cuts: [] };
  await writeFile(join(dir, 'tampered', 'manifest.json'), JSON.stringify(tampered));
  await addTiny(dir, 'zz-again', 'tiny');

  const { models, skipped } = await loadRegistry(dir);
  expect([...models.keys()].sort()).toEqual(['slow', 'tiny']);
  const codes = Object.fromEntries(skipped.map(({ folder, error }) => [folder, error.code]));
  expect(codes).toEqual({
    flipped: 'INTEGRITY_MISMATCH',
    short: 'INTEGRITY_MISMATCH',
    nojson: 'MANIFEST_INVALID',
    tampered: 'MANIFEST_INVALID',
    'zz-again': 'MANIFEST_INVALID',
  });
  for (const { folder, error } of skipped) expect(error.message).toContain(`'${folder}'`);
});

test('folders that a split has in hand, or left behind when it was killed, are no models', async () => {
  const { dir } = await testModels();
  await addTiny(dir, '.tiny.old-0b6f', 'tiny');
  const { models, skipped } = await loadRegistry(dir);
  expect(models.get('tiny')!.path(0)).toBe(join(dir, 'tiny', 's0.onnx'));
  expect(skipped).toEqual([]);
});

test('nothing to serve is an error that says why', async () => {
  const { dir } = await testModels();
  await expect(loadRegistry(join(dir, 'absent'))).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  await copyFile(join(dir, 'tiny', 's0.onnx'), join(dir, 'slow', 's0.onnx'));
  await expect(loadRegistry(join(dir, 'slow'))).rejects.toMatchObject({ code: 'INTEGRITY_MISMATCH' });
  const empty = await testModels();
  await writeFile(join(empty.dir, 'tiny', 'note.txt'), '');
  await expect(loadRegistry(join(empty.dir, 'tiny', 'note.txt'))).rejects.toMatchObject({
    code: 'OPTION_INVALID',
  });
});

test('versions are in natural order, however they are written', () => {
  const order = ['neck10', 'neck10@2', 'neck10/3', 'neck10@10', 'neck10/11', 'neck11'];
  const sorted = order.toReversed().map((version) => ({ version }));
  expect(sorted.sort(byVersion).map(({ version }) => version)).toEqual(order);
});
