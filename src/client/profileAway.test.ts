// A calibrated cut whose profile cannot be fetched when the first frame wants it: only splitting needs a profile, so every other
// way stays open.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { viewOf, writeProfile } from '../codec/profile.ts';
import { madeProfile } from '../codec/reference/isthmusProfiles.ts';
import { connect } from '../index.node.ts';
import { concreteShape, type Manifest, sha256Hex } from '../model/manifest.ts';
import { createTailServer } from '../tail/index.ts';
import { drawnPicture, type TinyModel, tinyModel } from './tinyModel.fixture.ts';

let model: TinyModel;
let cache: string;
let photo: Uint8Array;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'isthmus-cache-'));
  process.env.ISTHMUS_CACHE = cache;
  photo = await drawnPicture();
  model = await tinyModel();
  const manifest: Manifest = JSON.parse(await readFile(model.path('manifest.json'), 'utf8'));
  for (const [i, cut] of manifest.cuts.entries()) {
    const channels = viewOf(concreteShape(cut.tensors[0]!)).planes;
    const bytes = writeProfile(madeProfile(500 + i, { channels }));
    cut.profile = { file: `${cut.name}.ispr`, sha256: await sha256Hex(bytes), bytes: bytes.length };
    await writeFile(model.path(cut.profile.file), bytes);
  }
  await writeFile(model.path('manifest.json'), JSON.stringify(manifest));
});
afterAll(async () => {
  await model?.[Symbol.asyncDispose]();
  await rm(cache, { recursive: true, force: true });
});

const startTail = (port = 0) => createTailServer({ models: model.folder, port, logger: false, threads: 1 });

test('prefer-split goes home when the tail stops before the profile is here, and splits when it is back', async () => {
  const tail = await startTail();
  await using session = await connect(`${tail.url}/models/tiny`);
  await session.run(photo, { mode: 'only-local' }); // all segments are here now
  await tail.close();
  expect((await session.run(photo)).report).toMatchObject({
    ran: 'local',
    degraded: expect.stringMatching(/^DOWNLOAD_FAILED: /),
  });
  const again = await startTail(tail.port);
  expect((await session.run(photo)).report).toMatchObject({ ran: 'split' });
  await again.close();
});
