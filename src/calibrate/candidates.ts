// Builds one profile per recipe for a cut, each at the step that loses what may be lost, and picks the one with the fewest
// bytes. Fitting and choosing use different pictures, so that a recipe with more to fit does not win by that.
import { type CodecProfile, parseProfile, viewOf, writeProfile } from '../codec/profile.ts';
import { type CutStatistics, coefficientsOf, draftProfile, truncated } from './draft.ts';
import type { Recipe } from './recipes.ts';
import { findStep, type StepFound, type Trial } from './stepSearch.ts';
import { centroids, classesOf, priorTables, trainTables, usefulRank } from './symbolStatistics.ts';

export interface Candidate extends StepFound {
  recipe: Recipe;
  /** The profile's file; its name is not known before its hash. */
  file: Uint8Array<ArrayBuffer>;
  rank: number;
}

/** Runs the trial pictures through codec and tail with a profile. */
export type ProfileTrial = (profile: CodecProfile) => Promise<Trial>;

const TRIAL_NAME = '0000000000000000';

/** @param allowed largest mean divergence, in nats */
export async function tryRecipe(
  recipe: Recipe,
  statistics: CutStatistics,
  allowed: number,
  trial: ProfileTrial,
): Promise<Candidate> {
  const view = viewOf(statistics.shape);
  let draft = draftProfile(recipe, statistics);
  let coefficients = statistics.features.map((feature) => coefficientsOf(draft, view, feature));
  const usual = 0.7 * rootMeanSquare(coefficients);
  const narrow = (step: number) => {
    const rank = draft.transform ? usefulRank(draft, view, coefficients, step) : draft.rank;
    if (rank === draft.rank) return;
    draft = truncated(draft, rank);
    coefficients = coefficients.map((values) => values.slice(0, rank * view.rows * view.columns));
  };
  narrow(Math.max(1, Math.round(usual / 16))); // what no step in question would keep need not be tried again and again
  const classed = recipe.contexts === 'classes';
  const finish = (step: number, trained: boolean): Omit<CodecProfile, 'name'> => {
    const classes = classed ? classesOf(draft, view, coefficients) : undefined;
    return {
      ...draft,
      step,
      rho: centroids(draft, view, coefficients.slice(0, 24), step, !classed),
      ...(classes && { classes }),
      tables: trained ? trainTables(draft, view, classes, coefficients, step) : priorTables(draft, classed),
    };
  };
  const tried = (profile: Omit<CodecProfile, 'name'>) => trial({ ...profile, name: TRIAL_NAME });
  // From the coarse side: where the tail averages, a step that leaves nothing but the averages may lose less than a finer one.
  const found = await findStep(8 * usual, allowed, (step) => tried(finish(step, false)));
  narrow(Math.max(1, Math.round(found.step / 2))); // the step of `isthmus-fine`
  const profile = finish(found.step, true);
  const file = writeProfile(profile);
  const { name: _, ...checked } = parseProfile(file, TRIAL_NAME);
  return { recipe, file, rank: draft.rank, step: found.step, ...(await tried(checked)) };
}

/** Frames over which the download of a profile is counted: one of 100 kB has to save 100 bytes a frame. */
const AMORTISED_FRAMES = 1000;

/**
 * The fewest bytes, of frame and profile, among those that keep the loss, or nearly; when none does, the smallest loss.
 */
export function bestCandidate(candidates: readonly Candidate[], allowed: number): Candidate {
  const kept = candidates.filter((c) => c.loss <= 1.1 * allowed);
  const rank = (c: Candidate) => (kept.length > 0 ? atLoss(c, allowed) : c.loss);
  return (kept.length > 0 ? kept : [...candidates]).reduce((a, b) => (rank(b) < rank(a) ? b : a));
}

/** Bytes at exactly the allowed loss: near it they fall by about a fifth when the loss doubles. */
function atLoss({ bytes, loss, file }: Candidate, allowed: number): number {
  return bytes * (Math.max(loss, 1e-9) / allowed) ** 0.35 + file.length / AMORTISED_FRAMES;
}

function rootMeanSquare(coefficients: readonly Float32Array[]): number {
  let sum = 0;
  let count = 0;
  for (const values of coefficients) {
    for (const value of values) sum += value * value;
    count += values.length;
  }
  return Math.sqrt(sum / count);
}
