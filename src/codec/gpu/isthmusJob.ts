// What is decided about an `isthmus` tensor before a feature is there: who does what, and the sizes that follow from a shape.
import { IsthmusError } from '../../errors.ts';
import { bad } from '../checks.ts';
import { type IsthmusPlan, isthmusLanes, SENT_TABLES_FROM } from '../isthmusPlan.ts';
import { misfit, viewOf } from '../profile.ts';
import { type IsthmusSetup, plainBlock, plainSetup, RHO, setupOf } from '../reference/isthmusSetup.ts';
import type { FeatureSpec } from './family.ts';
import type { Tuning } from './tuning.ts';

/**
 * Symbols from which lanes are coded on the GPU, both ways, unless a tuning says otherwise. A lane is a chain of one step after
 * the other, slow on any GPU, and below this there are two of them at most: the CPU is through with all symbols sooner.
 */
export const LANES_FROM = 65_536;
/**
 * Symbols per lane up to which a GPU has them, both ways. Lanes are as many as rows at most, and a few bytes can claim one of
 * millions of symbols: that would hold a GPU for seconds, and browsers take the device away by then.
 */
export const LANE_SYMBOLS = 65_536;
/** A lane keeps one invocation busy for long: few per workgroup, so that they spread over the processors. */
export const LANES_PER_WORKGROUP = 4;
const MAX_ELEMENTS = 2 ** 24;

/** What the GPU hands back: coefficients when the step has to be searched for, else symbols, or coded lanes. */
type Division = 'coefficients' | 'symbols' | 'lanes';

export interface IsthmusJob {
  feature: FeatureSpec;
  plan: IsthmusPlan;
  /** Without a profile its exponent is not known yet. */
  setup: IsthmusSetup;
  division: Division;
  /** P'·H·W */
  symbols: number;
  lanes: number;
  /** Tables are counted and sent. */
  sends: boolean;
}

/**
 * @param feature not empty
 * @throws IsthmusError CODEC_INVALID when the profile does not fit, TOO_LARGE
 */
export function isthmusJob(
  feature: FeatureSpec,
  plan: IsthmusPlan,
  { lanesFrom = LANES_FROM }: Tuning,
): IsthmusJob {
  const { count, shape } = feature;
  const { profile } = plan;
  if (count > MAX_ELEMENTS)
    throw new IsthmusError(
      'TOO_LARGE',
      `A feature of ${count} elements is above 2^24. Cut the model where the feature is smaller.`,
    );
  const reason = profile && misfit(viewOf(shape), profile);
  if (profile && reason)
    throw bad(`The codec profile ${profile.name} does not fit a feature of shape [${shape}]: ${reason}.`);
  const setup = profile
    ? setupOf(shape, profile)
    : plainSetup(shape, 1, plainBlock(shape, plan), RHO[plan.transform]);
  const lines = setup.codedPlanes * setup.view.rows;
  const symbols = lines * setup.view.columns;
  const lanes = plan.lanes ?? isthmusLanes(symbols, lines);
  const isSearched = plan.step.kind === 'bytes' || plan.step.kind === 'distortion';
  // More lanes than rows are refused on the CPU, unless the tensor turns out to be constant.
  const isCodedHere = symbols >= lanesFrom && symbols <= lanes * LANE_SYMBOLS && lanes <= lines;
  return {
    feature,
    plan,
    setup,
    division: isSearched ? 'coefficients' : isCodedHere ? 'lanes' : 'symbols',
    symbols,
    lanes,
    sends: !profile && (plan.sentTables ?? symbols >= SENT_TABLES_FROM),
  };
}
