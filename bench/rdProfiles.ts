// Calibrated profiles for the benchmarks: read from model folders as `isthmus calibrate` leaves them, or made there first,
// on pictures that no benchmark tests with.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calibrateModel } from '../src/calibrate/calibrateModel.ts';
import { type CodecProfile, parseProfile } from '../src/codec/profile.ts';
import { IsthmusError } from '../src/errors.ts';
import type { Partition } from '../src/model/index.ts';
import { parseManifest } from '../src/model/manifest.ts';
import { readManifest, writeModelFolder } from '../src/model/node/modelFolder.ts';

/** The loss, mean KL in nats, that the quality of 50 of a profile is calibrated for; see `isthmus calibrate --loss`. */
const LOSS = 0.02;

export interface FoundProfile {
  profile: CodecProfile;
  file: Uint8Array<ArrayBuffer>;
}

/** Profiles by cut name of the model in `folder`; none where there is no model or no profile. */
export async function readProfiles(folder: string): Promise<Map<string, FoundProfile>> {
  const found = new Map<string, FoundProfile>();
  const path = join(folder, 'manifest.json');
  if (!existsSync(path)) return found;
  const { cuts } = await parseManifest(JSON.parse(await readFile(path, 'utf8')));
  for (const { name, profile } of cuts) {
    if (!profile) continue;
    const file = new Uint8Array(await readFile(join(folder, profile.file)));
    found.set(name, { file, profile: parseProfile(file, profile.sha256.slice(0, 16)) });
  }
  return found;
}

/**
 * Splits into `folder` and calibrates there, unless an earlier run did so to its end. A folder that is split already is
 * calibrated as it is.
 *
 * @param images labelled pictures
 * @throws IsthmusError OPTION_INVALID when the folder holds another split that is not calibrated
 */
export async function ensureCalibrated(folder: string, split: Partition, images: string): Promise<void> {
  if ((await readProfiles(folder)).size > 0) return;
  console.log(`  ${split.manifest.name}: calibrating in ${folder} …`);
  if (!existsSync(join(folder, 'manifest.json'))) await writeModelFolder(folder, split);
  else if ((await readManifest(folder)).id !== split.manifest.id) {
    throw new IsthmusError(
      'OPTION_INVALID',
      `${folder} holds another split of a model, without profiles. Calibrate it first, or name another folder with --profiles.`,
    );
  }
  await calibrateModel(folder, {
    images,
    fitImages: 120,
    trialImages: 120,
    testImages: 1,
    loss: LOSS,
    presets: ['isthmus'],
    progress: () => undefined,
  });
}
