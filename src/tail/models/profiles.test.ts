// Codec profiles on their way through the tail: served by hash as they were read at the start, whatever `isthmus calibrate`
// does to the folder meanwhile; and what is said about files that are missing or none.
import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeTensor } from '../../codec/cpu/encode.ts';
import { type CodecProfile, parseProfile, writeProfile } from '../../codec/profile.ts';
import { MADE_PROFILES } from '../../codec/reference/isthmusProfiles.ts';
import type { Manifest } from '../../model/manifest.ts';
import { readManifest, updateModelFolder } from '../../model/node/modelFolder.ts';
import type { Tensor } from '../../tensor.ts';
import { FRAME_TYPE } from '../../wire/layout.ts';
import { createTailServer } from '../index.ts';
import { testModels, tinyFrame, wave } from '../testModels.fixture.ts';
import { loadRegistry } from './modelStore.ts';

const { wide: one, tokens: other, usual: foreign } = MADE_PROFILES;

/** Puts a file into the folder as the profile of its cut. @returns its hash */
async function setProfile(folder: string, file: string, content: Uint8Array): Promise<string> {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const manifest = await readManifest(folder);
  const cuts = manifest.cuts.map((cut) => ({ ...cut, profile: { file, sha256, bytes: content.length } }));
  await updateModelFolder(folder, { ...manifest, cuts } as Manifest, new Map([[file, content]]));
  return sha256;
}

test('a folder that is calibrated again while it is served', async () => {
  const { dir } = await testModels();
  const folder = join(dir, 'tiny');
  const first = writeProfile(one);
  const sha256 = await setProfile(folder, 'feature.ispr', first);
  await using tail = await served(dir);
  const url = `${tail.url}/artifacts/${sha256}`;
  for (const file of ['feature.ispr', 'renamed.ispr']) {
    await setProfile(folder, file, writeProfile(other));
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(first);
  }
  const part = await fetch(url, { headers: { range: 'bytes=10-19' } });
  expect(part.status).toBe(206);
  expect(new Uint8Array(await part.arrayBuffer())).toEqual(first.slice(10, 20));
});

test('calibrated again and reloaded: frames made with either profile are read, by every thread', async () => {
  const { dir, tiny } = await testModels();
  const folder = join(dir, 'tiny');
  await setProfile(folder, 'a.ispr', writeProfile(one));
  await using tail = await served(dir);
  const feature: Tensor = { dtype: 'float32', shape: [1, 4, 8, 8], data: wave(256) };
  const status = async (made: Omit<CodecProfile, 'name'>) => {
    const content = writeProfile(made);
    const name = createHash('sha256').update(content).digest('hex').slice(0, 16);
    const tensor = encodeTensor(feature, { family: 'isthmus', profile: parseProfile(content, name) });
    const response = await fetch(`${tail.url}/models/tiny/infer`, {
      method: 'POST',
      headers: { 'content-type': FRAME_TYPE },
      body: tinyFrame(tiny, { tensors: [tensor] }),
    });
    return response.status;
  };
  expect([await status(one), await status(other)]).toEqual([200, 400]);
  await setProfile(folder, 'b.ispr', writeProfile(other));
  expect(await tail.reload()).toMatchObject({ loaded: ['tiny'], broken: [] });
  for (let i = 0; i < 4; i++) expect([await status(one), await status(other)]).toEqual([200, 200]);
  await setProfile(folder, 'c.ispr', writeProfile(foreign));
  expect(await tail.reload()).toMatchObject({ loaded: [], broken: [{ folder: 'tiny' }] });
  expect([await status(one), await status(other)]).toEqual([200, 200]);
});

test('what is wrong with a profile is said once, and that calibrating mends it', async () => {
  const { dir } = await testModels();
  const folder = join(dir, 'tiny');
  const refusal = async () => {
    const { message, code } = (await loadRegistry(folder).catch((thrown: unknown) => thrown)) as Error & {
      code: string;
    };
    expect(message).toContain("'tiny'");
    expect(message.match(/isthmus (calibrate|split)/g)).toEqual(['isthmus calibrate']);
    expect(message).not.toMatch(/\.\./);
    return code;
  };
  await setProfile(folder, 'foreign.ispr', writeProfile(foreign));
  expect(await refusal()).toBe('MANIFEST_INVALID'); // made for 16 channels, the cut has 4
  const broken = writeProfile(one);
  broken.fill(0, broken.length - 54);
  await setProfile(folder, 'broken.ispr', broken);
  expect(await refusal()).toBe('CODEC_INVALID');
  await writeFile(join(folder, 'broken.ispr'), 'another');
  expect(await refusal()).toBe('INTEGRITY_MISMATCH');
  await rm(join(folder, 'broken.ispr'));
  expect(await refusal()).toBe('INTEGRITY_MISMATCH');
});

async function served(models: string) {
  const tail = await createTailServer({ models, port: 0, logger: false, threads: 1 });
  return { url: tail.url, reload: () => tail.reload(), [Symbol.asyncDispose]: () => tail.close() };
}
