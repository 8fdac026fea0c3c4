// One cut: features of the calibration pictures, the tail's sensitivity, a profile per recipe, the best of them.
import { createHash } from 'node:crypto';
import { type CodecProfile, viewOf } from '../codec/profile.ts';
import { blockSide } from '../codec/reference/isthmusSetup.ts';
import { type AnswerKind, coordinates, divergence } from './answers.ts';
import { bestCandidate, type Candidate, tryRecipe } from './candidates.ts';
import { channelStatistics } from './channelStatistics.ts';
import { frameBytes, roundTrip } from './codedSize.ts';
import type { CutStatistics } from './draft.ts';
import { recipesFor } from './recipes.ts';
import { BATCH, joined, rowsOf, tailAnswers } from './samples.ts';
import { tailSensitivity } from './sensitivity.ts';
import type { SplitModel } from './splitModel.ts';
import type { Trial } from './stepSearch.ts';

export interface CutCalibration {
  candidates: Candidate[];
  best: Candidate;
  /** Lower-case hex of the best candidate's file. */
  sha256: string;
}

/** Memory for features of one cut. */
const FEATURE_BYTES = 256 * 2 ** 20;
/** Trial pictures: about so many elements through the codec per trial, and at least so many pictures. */
const TRIAL_ELEMENTS = 8e6;
const LEAST_TRIALS = 16;
const SENSITIVITY_MS = 60_000;

/** Why a cut gets no profile, or undefined. */
export function unfit(model: SplitModel, cut: number): string | undefined {
  const { tensors } = model.manifest.cuts[cut]!;
  if (tensors.length > 1) return 'it has several tensors';
  const { planes, rows, columns } = viewOf(model.shapeOf(tensors[0]!.name));
  if (planes > 4096) return `it has ${planes} channels, more than a profile can hold`;
  if (planes * rows * columns > 2 ** 24) return 'it is too large for the codec';
  return undefined;
}

/** @param inputs preprocessed pictures */
export async function calibrateCut(
  model: SplitModel,
  cut: number,
  inputs: Readonly<Record<'fit' | 'trial', readonly Float32Array[]>>,
  kind: AnswerKind,
  allowed: number,
  progress: (line: string) => void,
): Promise<CutCalibration> {
  const { name } = model.manifest.cuts[cut]!.tensors[0]!;
  const shape = model.shapeOf(name);
  const view = viewOf(shape);
  const size = model.featureSize(cut);
  const most = Math.max(6, Math.floor(FEATURE_BYTES / (4 * size)));
  const fitted = await headFeatures(model, cut, inputs.fit.slice(0, most));
  const mostTrials = Math.max(LEAST_TRIALS, Math.floor(TRIAL_ELEMENTS / size));
  const trials = await headFeatures(model, cut, inputs.trial.slice(0, Math.min(most, mostTrials)));
  const channels = channelStatistics(fitted, view);
  const block = [blockSide(view.rows), blockSide(view.columns)] as const;
  progress('sensitivity of the tail');
  const sensitivity = await tailSensitivity(
    fitted,
    async (features, count) =>
      (await tailAnswers(model, cut, features, count, kind)).map((p) => coordinates(p, kind)),
    {
      view,
      block,
      deviations: channels.deviations,
      budgetMs: SENSITIVITY_MS,
      onPicture: (done) => progress(`sensitivity of the tail: ${done} pictures`),
    },
  );
  const statistics: CutStatistics = { shape, features: fitted, channels, sensitivity, block };
  const trial = await trialOn(model, cut, trials, kind);
  const candidates: Candidate[] = [];
  for (const recipe of recipesFor(view.planes)) {
    progress(recipe.name);
    candidates.push(await tryRecipe(recipe, statistics, allowed, trial));
  }
  const best = bestCandidate(candidates, allowed);
  return { candidates, best, sha256: createHash('sha256').update(best.file).digest('hex') };
}

async function headFeatures(
  model: SplitModel,
  cut: number,
  inputs: readonly Float32Array[],
): Promise<Float32Array[]> {
  const { manifest } = model;
  const features: Float32Array[] = [];
  for (let first = 0; first < inputs.length; first += BATCH) {
    const part = inputs.slice(first, first + BATCH);
    const values = await model.run(new Map([[manifest.inputs[0]!.name, joined(part)]]), part.length, 0, cut);
    const batch = values.get(manifest.cuts[cut]!.tensors[0]!.name)!;
    features.push(...rowsOf(batch, part.length));
  }
  return features;
}

/** Mean bytes and mean divergence of a profile over `features`, against the answers to the features as they are. */
async function trialOn(
  model: SplitModel,
  cut: number,
  features: readonly Float32Array[],
  kind: AnswerKind,
): Promise<(profile: CodecProfile) => Promise<Trial>> {
  const shape = model.shapeOf(model.manifest.cuts[cut]!.tensors[0]!.name);
  const answers = async (rows: readonly Float32Array[]) => {
    const results: Float64Array[] = [];
    for (let first = 0; first < rows.length; first += BATCH) {
      const part = rows.slice(first, first + BATCH);
      results.push(...(await tailAnswers(model, cut, joined(part), part.length, kind)));
    }
    return results;
  };
  const wanted = await answers(features);
  return async (profile) => {
    let bytes = 0;
    const decoded = features.map((feature) => {
      const coded = roundTrip(feature, shape, { family: 'isthmus', profile }, profile);
      bytes += frameBytes([coded.encoded]);
      return coded.decoded;
    });
    const loss = (await answers(decoded)).reduce(
      (sum, answer, i) => sum + divergence(wanted[i]!, answer, kind),
      0,
    );
    return { bytes: bytes / features.length, loss: loss / features.length };
  };
}
