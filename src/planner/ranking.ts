// Ranking: forecasts in the order in which a planner would take them, and how long the one taken may be waited for.

import { exceeded, type Forecast, type Limits } from './limits.ts';
import type { LinkEstimate } from './linkEstimate.ts';
import type { Outage } from './outage.ts';
import type { Decision } from './plannerTypes.ts';

/** Candidates that are so close are told apart by accuracy. */
const TIE = 0.02;
/** Crossings that it takes to know how long one takes, and what is waited until then. */
const FEW = 3;
const UNKNOWN_MS = 2000;
const LEAST_MS = 20;
/** Of a run here. */
const WORTH_A_TRY = 0.5;
const WORTH_A_WAIT = 0.75;

/** Fewest limits exceeded first, then the fastest; among those as good as tied the most accurate. */
export function ranked(forecasts: readonly Forecast[], limits: Limits, deviationMs: number): Forecast[] {
  const rank = (f: Forecast) => exceeded(f, limits, deviationMs).length;
  const sorted = [...forecasts].sort((a, b) => rank(a) - rank(b) || a.ms - b.ms);
  const first = sorted[0];
  if (!first) return [];
  const tied = sorted.filter((f) => rank(f) === rank(first) && f.ms <= first.ms * (1 + TIE));
  const accurate = tied.reduce((a, b) => ((b.candidate.accuracy ?? 0) > (a.candidate.accuracy ?? 0) ? b : a));
  return [accurate, ...sorted.filter((f) => f !== accurate)];
}

/** Milliseconds after sending when running everything here is the better bet; undefined where that is not possible. */
export function patienceFor(
  { candidate, linkMs, serverMs, deviceMs }: Forecast,
  local: Forecast | undefined,
  { deadlineMs = Number.POSITIVE_INFINITY }: Limits,
  kind: Decision['kind'],
  { samples, deviationMs }: Pick<LinkEstimate, 'samples' | 'deviationMs'>,
  { leniency }: Pick<Outage, 'leniency'>,
): number | undefined {
  if (!local || candidate.plan === 'local') return undefined;
  const usual = linkMs + serverMs;
  const back = kind === 'return';
  const late = back ? (1.5 * usual + 10) * leniency : 2.5 * usual + 4 * deviationMs + 10;
  // Whoever gives up pays for a run here: where that is long, a little more of the wait costs less (ski rental).
  const known = Math.max(late, (back ? WORTH_A_TRY : WORTH_A_WAIT) * local.ms);
  const long = samples >= FEW ? known : UNKNOWN_MS;
  return Math.max(LEAST_MS, Math.min(long, deadlineMs - deviceMs - local.ms));
}
