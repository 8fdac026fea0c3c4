// Profiles against manifests as a split writes them, with a batch that the caller chooses.
import { expect, test } from 'vitest';
import { writeProfile } from '../codec/profile.ts';
import { MADE_PROFILES } from '../codec/reference/isthmusProfiles.ts';
import { type Manifest, sha256Hex } from '../model/manifest.ts';
import { Profiles } from './profiles.ts';
import type { LoadOptions } from './runtime.ts';

test('a profile of another cut is the manifest’s fault, also where the batch has a name', async () => {
  const file = writeProfile(MADE_PROFILES.usual); // 16 channels, blocks of 4 × 4
  const profile = { file: 'a.ispr', sha256: await sha256Hex(file), bytes: file.length };
  const complete = (shape: (number | string)[]) => {
    const tensors = [{ name: 'a', dtype: 'float32', shape }];
    const manifest = { cuts: [{ name: 'a', tensors, rawBytes: 1, profile }] } as unknown as Manifest;
    const options = { manifest, artifacts: '', token: undefined } as unknown as LoadOptions;
    return new Profiles(() => Promise.resolve(file)).complete({ family: 'isthmus' }, options, 0);
  };
  expect(await complete(['N', 16, 8, 8])).toMatchObject({ profile: { channels: 16 } });
  await expect(complete(['N', 24, 8, 8])).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  await expect(complete(['N', 16, 8, 7])).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
});
