// Plans: which ways of computing a mode allows, in which order, when the next one is worth trying, and the cut that is
// taken when none is named. A table and three small rules; measuring links and devices is the planner's job, not here.
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Mode } from './types.ts';

export type Plan = 'split' | 'local' | 'remote';

const ORDER: Record<Mode, readonly [Plan, ...Plan[]]> = {
  'only-split': ['split'],
  'only-local': ['local'],
  'only-remote': ['remote'],
  'prefer-split': ['split', 'local', 'remote'],
  'prefer-local': ['local', 'split', 'remote'],
  'prefer-remote': ['remote', 'split', 'local'],
  auto: ['split', 'local', 'remote'],
};

/** Plans in the order to try them. @throws OPTION_INVALID listing the modes. */
export function plansOf(mode: Mode): readonly [Plan, ...Plan[]] {
  if (Object.hasOwn(ORDER, mode)) return ORDER[mode];
  throw new IsthmusError(
    'OPTION_INVALID',
    `There is no mode '${mode}'; there are ${Object.keys(ORDER).join(', ')}.`,
  );
}

/**
 * How a plan failed: on this device (downloads of segments included), when the cut's codec profile was fetched, which splitting
 * alone needs, or on the way to the tail and there.
 */
export interface Failure {
  plan: Plan;
  side: 'device' | 'profile' | 'tail';
  error: IsthmusError;
}

/** Mistakes of the caller: every plan would answer the same. */
export const MISTAKES: ReadonlySet<ErrorCode> = new Set([
  'INPUT_INVALID',
  'IMAGE_INVALID',
  'IMAGE_TOO_LARGE',
  'OPTION_INVALID',
  'CODEC_INVALID',
  'FEATURE_NOT_FINITE',
]);

/** Whether `next` is worth trying after a failure. */
export function mayFallBack({ plan, side, error }: Failure, next: Plan): boolean {
  if (MISTAKES.has(error.code)) return false;
  // Cuts that are named are checked before any plan is tried, so this one means a model without cuts.
  if (error.code === 'CUT_INVALID') return next !== 'split';
  if (side === 'profile') return true;
  // Plans that cross would meet the same tail; only a feature above its limit says nothing about a picture.
  if (side === 'tail') return next === 'local' || error.code === 'TOO_LARGE';
  // The whole model may fail here where its first half does not, never the other way round.
  return plan !== 'split' || next === 'remote';
}

/** Share of the work within which the default cut is looked for. */
const EARLY = 3 / 4;

/**
 * The default cut: the smallest raw feature among the cuts that leave at most three quarters of the work to this device
 * (multiply-accumulates, or bytes of weights where the partitioner could not count). Without that bound the cut before
 * the last layer would always win, and the device would do everything. The first cut when all lie later.
 *
 * @param latest no cut behind this one, where tasks hang at it
 * @throws CUT_INVALID when the model has no cut.
 */
export function defaultCut(manifest: Manifest, latest = Number.POSITIVE_INFINITY): number {
  const { cuts, segments } = manifest;
  if (cuts.length === 0) {
    throw new IsthmusError(
      'CUT_INVALID',
      `The model '${manifest.name}' has no cuts, so it cannot be split. Use only-local or only-remote.`,
    );
  }
  const counted = segments.every((s) => s.macs !== undefined);
  const work = segments.map((s) => (counted ? s.macs! : s.bytes));
  const total = work.reduce((a, b) => a + b, 0);
  let best = 0;
  let done = 0;
  for (const [i, cut] of cuts.entries()) {
    done += work[i]!;
    if (i > 0 && (i > latest || done > EARLY * total)) break;
    if (cut.rawBytes < cuts[best]!.rawBytes) best = i;
  }
  return best;
}
