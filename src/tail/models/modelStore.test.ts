// Versions side by side, and a folder of models that changes under load: every request is answered by the version it was made for.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeProfile } from '../../codec/profile.ts';
import { MADE_PROFILES } from '../../codec/reference/isthmusProfiles.ts';
import { type Manifest, sha256Hex } from '../../model/manifest.ts';
import { updateModelFolder, writeModelFolder } from '../../model/node/modelFolder.ts';
import { FRAME_TYPE } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import { createTailServer, type TailServer } from '../index.ts';
import { addTiny, testModels, tinyFrame, tinyPartition } from '../testModels.fixture.ts';
import { loadRegistry, openModels } from './modelStore.ts';

const serve = async (models: string, options: Partial<Parameters<typeof createTailServer>[0]> = {}) =>
  createTailServer({ models, port: 0, logger: false, threads: 1, warm: true, ...options });

/** What a request for a version is answered: its scores, or the error's code. */
async function ask(tail: TailServer, manifest: Manifest, name = 'tiny'): Promise<string> {
  const response = await fetch(`${tail.url}/models/${name}/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE },
    body: tinyFrame(manifest),
  });
  const frame = readFrame(new Uint8Array(await response.arrayBuffer()));
  if (frame.kind === 'error') return frame.meta.error!.code;
  expect(frame.modelTag).toBe(manifest.id.slice(0, 16));
  return Buffer.from(frame.tensors[0]!.payload).toString('hex');
}

const manifestId = async (tail: TailServer, path: string) => {
  const response = await fetch(`${tail.url}/models/${path}/manifest.json`);
  return response.ok ? ((await response.json()) as Manifest).id : response.status;
};

test('versions: the last folder in natural order is the default, each frame finds its own', async () => {
  const { dir, tiny, slow } = await testModels();
  const second = await addTiny(dir, 'tiny@2', 'tiny', 2);
  const tenth = await addTiny(dir, 'tiny@10', 'tiny', 10);
  const nested = await addTiny(dir, 'grown/3', 'grown', 3);
  await using tail = disposable(await serve(dir));
  expect(await manifestId(tail, 'tiny')).toBe(tenth.id);
  const answers = new Set<string>();
  for (const manifest of [tiny, second, tenth]) {
    const tag = manifest.id.slice(0, 16);
    expect(await manifestId(tail, `tiny/versions/${tag}`)).toBe(manifest.id);
    answers.add(await ask(tail, manifest));
  }
  expect(answers.size).toBe(3);
  expect([...answers].every((hex) => /^[0-9a-f]{24}$/.test(hex))).toBe(true);
  expect(await manifestId(tail, 'tiny/versions/0123456789abcdef')).toBe(404);
  expect(await manifestId(tail, `grown/versions/${tiny.id.slice(0, 16)}`)).toBe(404);
  expect(await ask(tail, slow)).toBe('MODEL_MISMATCH'); // another model's frame at this address
  expect(await ask(tail, nested, 'grown')).toMatch(/^[0-9a-f]{24}$/);
  const { models } = (await (await fetch(`${tail.url}/models`)).json()) as {
    models: { name: string; id: string; versions: { version: string; id: string }[] }[];
  };
  const listed = models.find((m) => m.name === 'tiny')!;
  expect(listed.id).toBe(tenth.id);
  expect(listed.versions.map((v) => v.version)).toEqual(['tiny@10', 'tiny@2', 'tiny']);
  expect(listed.versions.map((v) => v.id)).toEqual([tenth.id, second.id, tiny.id]);
});

test('models are exchanged, added, broken, mended and removed under load: no request fails', async () => {
  const { dir, tiny } = await testModels();
  await using tail = disposable(await serve(dir, { watch: { debounceMs: 30, pollMs: 500 } }));
  const wanted = new Map([[tiny.id, await ask(tail, tiny)]]);
  const live = new Set([tiny]);
  let stop = false;
  let done = 0;
  const failed: string[] = [];
  const clients = Array.from({ length: 4 }, async (_, client) => {
    for (let i = client; !stop; i++) {
      const manifest = [...live][i % live.size]!;
      const answer = await ask(tail, manifest);
      if (!wanted.has(manifest.id)) wanted.set(manifest.id, answer);
      if (answer !== wanted.get(manifest.id)) failed.push(`${manifest.id.slice(0, 8)}: ${answer}`);
      done++;
    }
  });
  const becomes = (id: string | number) =>
    expect.poll(() => manifestId(tail, 'tiny'), { timeout: 15_000, interval: 30 }).toBe(id);
  const some = async () => {
    const before = done;
    await expect.poll(() => done, { timeout: 15_000 }).toBeGreaterThan(before + 20);
  };

  await some();
  // Exchanged for another model, as `isthmus split` does it: the old one's clients go on.
  const second = await tinyPartition('tiny', 2);
  await writeModelFolder(join(dir, 'tiny'), second);
  await becomes(second.manifest.id);
  live.add(second.manifest);
  await some();
  // A version beside it, while it is copied not there yet.
  const third = await tinyPartition('tiny', 3);
  const { manifest: thirdManifest, files } = third;
  await mkdir(join(dir, 'tiny@3'));
  await writeFile(join(dir, 'tiny@3', 'manifest.json'), JSON.stringify(thirdManifest).slice(0, 300));
  await expect.poll(() => tail.reload().then((r) => r.broken.length), { timeout: 5000 }).toBe(0);
  expect(await manifestId(tail, 'tiny')).toBe(second.manifest.id);
  await writeFile(join(dir, 'tiny@3', 'manifest.json'), JSON.stringify(thirdManifest));
  for (const [name, content] of files) await writeFile(join(dir, 'tiny@3', name), content);
  await becomes(thirdManifest.id);
  live.add(thirdManifest);
  await some();
  // Broken in place: what was served stays.
  await writeFile(join(dir, 'tiny@3', 'manifest.json'), '{');
  await tail.reload();
  expect(await manifestId(tail, 'tiny')).toBe(thirdManifest.id);
  await some();
  // Removed: the one before it is the default again, the removed one's clients still get their answers.
  await rm(join(dir, 'tiny@3'), { recursive: true });
  await becomes(second.manifest.id);
  await some();
  stop = true;
  await Promise.all(clients);
  expect(failed).toEqual([]);
  expect(wanted.size).toBe(3);
  expect(new Set(wanted.values()).size).toBe(3);
  expect(done).toBeGreaterThan(100);
});

test('a version that was replaced is answered for the grace, from files that are gone, and then refused', async () => {
  const { dir, tiny } = await testModels();
  // Nothing is warm: the first request for the old version comes when its files have gone.
  await using tail = disposable(await serve(dir, { warm: false, modelGraceMs: 3000 }));
  const second = await tinyPartition('tiny', 2);
  await writeModelFolder(join(dir, 'tiny'), second);
  const { loaded, retired } = await tail.reload();
  expect([loaded, retired]).toEqual([['tiny'], ['tiny']]);
  expect(await ask(tail, tiny)).toMatch(/^[0-9a-f]{24}$/);
  const artifact = await fetch(`${tail.url}/artifacts/${tiny.segments[1]!.sha256}`);
  expect(await sha256Hex(new Uint8Array(await artifact.arrayBuffer()))).toBe(tiny.segments[1]!.sha256);
  await expect.poll(() => ask(tail, tiny), { timeout: 15_000, interval: 200 }).toBe('MODEL_MISMATCH');
  expect(await ask(tail, second.manifest)).toMatch(/^[0-9a-f]{24}$/);
  expect((await fetch(`${tail.url}/artifacts/${tiny.segments[1]!.sha256}`)).status).toBe(404);
});

test('a folder that is calibrated again: the same version, both profiles', async () => {
  const { dir, tiny } = await testModels();
  const folder = join(dir, 'tiny');
  const store = await openModels(dir);
  for (const profile of [MADE_PROFILES.wide, MADE_PROFILES.tokens]) {
    const content = writeProfile(profile);
    const sha256 = await sha256Hex(content);
    const cuts = tiny.cuts.map((c) => ({ ...c, profile: { file: 'p.ispr', sha256, bytes: content.length } }));
    await updateModelFolder(folder, { ...tiny, cuts }, new Map([['p.ispr', content]]));
    await store.reload();
    expect(store.registry.models.get('tiny')!.profiles.has(sha256.slice(0, 16))).toBe(true);
  }
  expect(store.registry.models.get('tiny')!.profiles.size).toBe(2);
  expect(store.registry.versions.get('tiny')).toHaveLength(1);
  expect((await loadRegistry(dir)).models.get('tiny')!.profiles.size).toBe(1);
  store.close();
});

test('a folder whose models have all gone is no reason to serve none', async () => {
  const { dir, tiny } = await testModels();
  const store = await openModels(dir);
  await rename(dir, `${dir}-away`);
  await expect(store.reload()).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  expect(store.registry.models.get('tiny')!.manifest.id).toBe(tiny.id);
  await mkdir(dir);
  await expect(store.reload()).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  expect(store.registry.models.size).toBe(2);
  await rm(dir, { recursive: true });
  await rename(`${dir}-away`, dir);
  expect(await store.reload()).toEqual({ loaded: [], retired: [], broken: [] });
  store.close();
  await expect(store.reload()).rejects.toMatchObject({ code: 'CLOSED' });
});

function disposable(tail: TailServer): TailServer & AsyncDisposable {
  return Object.assign(tail, { [Symbol.asyncDispose]: () => tail.close({ graceMs: 1000 }) });
}
