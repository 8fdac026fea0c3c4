// The whole of `isthmus calibrate`: profiles for the cuts of a model folder, then what every preset costs and loses on other
// pictures, then both into the folder.

import type { PresetName } from '../codec/params.ts';
import { type CodecProfile, parseProfile } from '../codec/profile.ts';
import { IsthmusError } from '../errors.ts';
import { type CutInfo, cutIndex } from '../model/manifest.ts';
import { readManifest, updateModelFolder } from '../model/node/modelFolder.ts';
import { answerKind, classCount } from './answers.ts';
import { type CutCalibration, calibrateCut, unfit } from './calibrateCut.ts';
import { measureCuts } from './measure.ts';
import { measureUploads } from './measureUploads.ts';
import { labelledPictures } from './pictures.ts';
import { pictureSpec, readInput } from './samples.ts';
import { SplitModel } from './splitModel.ts';

export interface CalibrateOptions {
  /** Folder of labelled pictures; see {@link labelledPictures}. */
  images: string;
  /** Names of cuts; all by default. */
  cuts?: readonly string[];
  /** Pictures that statistics are taken from, that decide on the step, and that the result is measured on. */
  fitImages: number;
  trialImages: number;
  testImages: number;
  /** Mean divergence of answers, in nats, that quality 50 may cost. */
  loss: number;
  presets: readonly PresetName[];
  progress: (line: string) => void;
}

export interface CutReport {
  cut: CutInfo;
  /** What was tried; absent where the cut cannot have a profile, with the reason. */
  profile?: CutCalibration;
  reason?: string;
}

/**
 * Writes `<cut>-<hash>.ispr` files and the manifest of `folder`; segments stay as they are, and so does the model's id.
 *
 * @throws IsthmusError OPTION_INVALID (no pictures, other classes, no picture model), CUT_INVALID, MODEL_MISMATCH (the folder
 *   was split again meanwhile), what the folder's reading throws
 */
export async function calibrateModel(folder: string, options: CalibrateOptions): Promise<CutReport[]> {
  const { progress } = options;
  const model = await SplitModel.open(folder);
  try {
    const { manifest } = model;
    pictureSpec(manifest);
    const names = new Set(options.cuts ?? manifest.cuts.map((c) => c.name));
    const cuts = [...names].map((name) => cutIndex(manifest, name));
    if (cuts.length === 0)
      throw new IsthmusError('CUT_INVALID', `The model '${manifest.name}' has no cut to calibrate.`);
    const pictures = await labelledPictures(
      options.images,
      { fit: options.fitImages, trial: options.trialImages, test: options.testImages },
      classCount(manifest, answerKind(manifest)),
    );
    const readInputs = async (use: 'fit' | 'trial') => {
      const inputs: Float32Array[] = [];
      for (const picture of pictures[use]) {
        inputs.push(await readInput(picture, manifest));
        progress(`reading pictures (${use}) ${inputs.length} of ${pictures[use].length}`);
      }
      return inputs;
    };
    const inputs = { fit: await readInputs('fit'), trial: await readInputs('trial') };
    const kind = answerKind(manifest, await model.answerTo(inputs.fit[0]!));
    const found: { cut: number; report: Omit<CutReport, 'cut'>; profile: CodecProfile | undefined }[] = [];
    for (const cut of cuts) {
      const { name } = manifest.cuts[cut]!;
      const reason = unfit(model, cut);
      if (reason !== undefined) {
        found.push({ cut, report: { reason }, profile: undefined });
        continue;
      }
      const say = (line: string) => progress(`${name}: ${line}`);
      const profile = await calibrateCut(model, cut, inputs, kind, options.loss, say);
      const parsed = parseProfile(profile.best.file, profile.sha256.slice(0, 16));
      found.push({ cut, report: { profile }, profile: parsed });
    }
    const measured = await measureCuts(model, found, options.presets, pictures.test, kind, (done) =>
      progress(`measuring pictures ${done} of ${pictures.test.length}`),
    );
    const uploads = await measureUploads(model, pictures.test, kind, (done) =>
      progress(`measuring uploads ${done} of ${pictures.test.length}`),
    );
    const now = await readManifest(folder); // another calibration may have come to its end
    if (now.id !== manifest.id) {
      throw new IsthmusError(
        'MODEL_MISMATCH',
        `The model in ${folder} was split again while it was calibrated. Calibrate the new one.`,
      );
    }
    const files = new Map<string, Uint8Array>();
    const entries = now.cuts.map((info, i): CutInfo => {
      const at = found.findIndex(({ cut }) => cut === i);
      if (at < 0) return info;
      const { profile: _, ...rest } = info;
      const made = found[at]!.report.profile;
      const calibration = measured[at]!;
      if (!made) return { ...rest, calibration };
      const file = profileFile(info, made);
      files.set(file, made.best.file);
      return { ...rest, profile: { file, sha256: made.sha256, bytes: made.best.file.length }, calibration };
    });
    await updateModelFolder(folder, { ...now, cuts: entries, uploads }, files);
    return found.map(({ cut, report }) => ({ cut: entries[cut]!, ...report }));
  } finally {
    await model.close();
  }
}

/**
 * The cut's name with what a file name cannot hold replaced, and the beginning of the hash: a file never changes, so that
 * whoever holds the old manifest never reads the new bytes, and no two cuts share a name.
 */
function profileFile({ name }: CutInfo, { sha256 }: CutCalibration): string {
  return `${name.replace(/[^\w.-]+/g, '-').slice(0, 80)}-${sha256.slice(0, 8)}.ispr`;
}
