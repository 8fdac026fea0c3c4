// A calibrated cut whose profile cannot be fetched when the first frame wants it: only splitting needs a profile, so every other
// way stays open.
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { viewOf, writeProfile } from '../codec/profile.ts';
import { madeProfile } from '../codec/reference/isthmusProfiles.ts';
import { connect } from '../index.node.ts';
import { concreteShape, type Manifest, sha256Hex } from '../model/manifest.ts';
import { testTails } from '../tail/testTails.fixture.ts';
import { drawnPicture, tinyModel } from './tinyModel.fixture.ts';

const photo = await drawnPicture();
const model = await tinyModel();
const { start, end } = testTails({ models: model.folder });
beforeAll(async () => {
  const manifest: Manifest = JSON.parse(await readFile(model.path('manifest.json'), 'utf8'));
  for (const [i, cut] of manifest.cuts.entries()) {
    const channels = viewOf(concreteShape(cut.tensors[0]!)).planes;
    const bytes = writeProfile(madeProfile(500 + i, { channels }));
    cut.profile = { file: `${cut.name}.ispr`, sha256: await sha256Hex(bytes), bytes: bytes.length };
    await writeFile(model.path(cut.profile.file), bytes);
  }
  await writeFile(model.path('manifest.json'), JSON.stringify(manifest));
});
afterAll(end);

test('prefer-split goes home when the tail stops before the profile is here, and splits when it is back', async () => {
  const tail = await start();
  await using session = await connect(`${tail.url}/models/tiny`);
  await session.run(photo, { mode: 'only-local' }); // all segments are here now
  await tail.close();
  expect((await session.run(photo)).report).toMatchObject({
    ran: 'local',
    degraded: expect.stringMatching(/^DOWNLOAD_FAILED: /),
  });
  await start({ port: tail.port });
  expect((await session.run(photo)).report).toMatchObject({ ran: 'split' });
});
