// Downloads of a model that is replaced while they run: each gets the bytes of its hash to the end, however slow it is, and the
// file is closed after the last.
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Manifest, manifestId } from '../../model/manifest.ts';
import type { TailContext } from '../context.ts';
import { registryOf } from '../models/registry.ts';
import { type Artifact, closeFiles, loadServedModel, type ServedModel } from '../models/servedModel.ts';
import { addTiny } from '../testModels.fixture.ts';
import { artifactRoutes } from './artifactRoutes.ts';

const BYTES = 4_000_000;
let dir: string;
let sha256: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-artifacts-'));
  await addTiny(dir, 'tiny');
  const path = (file: string) => join(dir, 'tiny', file);
  const manifest = JSON.parse(await readFile(path('manifest.json'), 'utf8')) as Manifest;
  // Nothing runs it here, so a large file may stand for a large segment.
  const content = randomBytes(BYTES);
  sha256 = createHash('sha256').update(content).digest('hex');
  Object.assign(manifest.segments[0]!, { file: 'large.onnx', bytes: BYTES, sha256 });
  await writeFile(path('large.onnx'), content);
  await writeFile(path('manifest.json'), JSON.stringify({ ...manifest, id: await manifestId(manifest) }));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function served(): Promise<{ model: ServedModel; artifact: Artifact; get: () => Promise<Response> }> {
  const model = await loadServedModel(join(dir, 'tiny'));
  const routes = artifactRoutes({ registry: registryOf([model], [], []) } as unknown as TailContext);
  return {
    model,
    artifact: model.artifacts.get(sha256)!,
    get: async () => routes.request(`/artifacts/${sha256}`),
  };
}

test('a model that goes while it is downloaded is sent to its end, and its file closed then', async () => {
  const { model, artifact, get } = await served();
  const responses = await Promise.all([get(), get()]);
  const [slow, gone] = responses.map((response) => response.body!.getReader());
  const hash = createHash('sha256');
  let length = 0;
  const take = async () => {
    const { done, value } = await slow!.read();
    if (value) hash.update(value);
    length += value?.byteLength ?? 0;
    return !done;
  };
  await take();
  await gone!.read();
  closeFiles(model);
  const others = Array.from({ length: 8 }, () => openSync(import.meta.filename, 'r')); // would get its number
  while (await take());
  expect(length).toBe(BYTES);
  expect(hash.digest('hex')).toBe(sha256);
  expect(fstatSync(artifact.fd!).size).toBe(BYTES); // the other download has it still
  await gone!.cancel();
  await expect.poll(() => artifact.readers).toBe(0);
  expect(() => fstatSync(artifact.fd!)).toThrow(/EBADF/);
  for (const fd of others) closeSync(fd);
});

test('a client that goes away in the middle takes nothing from the others, again and again', async () => {
  const { model, artifact, get } = await served();
  const living = (await get()).body!.getReader();
  await living.read();
  for (let i = 0; i < 5; i++) {
    const reader = (await get()).body!.getReader();
    if (i % 2 === 0) await reader.read();
    await reader.cancel();
  }
  await expect.poll(() => artifact.readers).toBe(1);
  const body = new Uint8Array(await (await get()).arrayBuffer());
  expect(createHash('sha256').update(body).digest('hex')).toBe(sha256);
  while (!(await living.read()).done);
  closeFiles(model);
});

test('without downloads it is closed at once', async () => {
  const { model, artifact, get } = await served();
  const body = new Uint8Array(await (await get()).arrayBuffer());
  expect(createHash('sha256').update(body).digest('hex')).toBe(sha256);
  await expect.poll(() => artifact.readers).toBe(0);
  expect(fstatSync(artifact.fd!).size).toBe(BYTES);
  closeFiles(model);
  expect(() => fstatSync(artifact.fd!)).toThrow(/EBADF/);
});
