// `isthmus calibrate --uploads`: accuracy and bytes of the `remote` plan's pictures into the manifest of a model folder, and
// nothing else: profiles, figures of cuts and exits stay as they are.
import { IsthmusError } from '../errors.ts';
import type { UploadCalibration } from '../model/manifest.ts';
import { readManifest, updateModelFolder } from '../model/node/modelFolder.ts';
import { answerKind, classCount } from './answers.ts';
import { measureUploads } from './measureUploads.ts';
import { labelledPictures } from './pictures.ts';
import { pictureSpec, readInput } from './samples.ts';
import { SplitModel } from './splitModel.ts';

export interface CalibrateUploadsOptions {
  /** Folder of labelled pictures; see {@link labelledPictures}. Only those for the test are used. */
  images: string;
  testImages: number;
  progress: (line: string) => void;
}

/**
 * @throws IsthmusError OPTION_INVALID (no pictures, other classes, no picture model), MODEL_MISMATCH (the folder was split
 *   again meanwhile), what the folder's reading throws
 */
export async function calibrateUploads(
  folder: string,
  { images, testImages, progress }: CalibrateUploadsOptions,
): Promise<UploadCalibration> {
  const model = await SplitModel.open(folder);
  try {
    const { manifest } = model;
    pictureSpec(manifest);
    const classes = classCount(manifest, answerKind(manifest));
    const { test } = await labelledPictures(images, { fit: 4, trial: 1, test: testImages }, classes);
    const kind = answerKind(manifest, await model.answerTo(await readInput(test[0]!, manifest)));
    const uploads = await measureUploads(model, test, kind, (done) =>
      progress(`measuring uploads ${done} of ${test.length}`),
    );
    const now = await readManifest(folder); // another calibration may have come to its end
    if (now.id !== manifest.id) {
      throw new IsthmusError(
        'MODEL_MISMATCH',
        `The model in ${folder} was split again while it was calibrated. Calibrate the new one.`,
      );
    }
    await updateModelFolder(folder, { ...now, uploads }, new Map());
    return uploads;
  } finally {
    await model.close();
  }
}
