// Planner: which candidate each request takes. The fastest expected one within the limits, with hysteresis, rare probes of
// what could be faster, and a way back after outages. Pure: time and chance are handed in, nothing is sent from here.
import type { Candidate } from './candidates.ts';
import { Forecaster } from './forecaster.ts';
import { exceeded, type Forecast, type Limits } from './limits.ts';
import type { LinkEstimate } from './linkEstimate.ts';
import { Outage } from './outage.ts';
import type { Decision, Planner, PlannerOptions, Question } from './plannerTypes.ts';

/** A switch has to promise that much, except after a change. */
const HYSTERESIS = 0.06;
/** Requests that a choice lasts at least, where nothing changed and no other promises {@link CLEARLY} more. */
const DWELL = 3;
const CLEARLY = 0.3;
/** Requests after which less is enough to switch. */
const LONG = 20;
/** Share of requests that may be probes. One that takes k times as long as the best choice counts as k. */
const PROBES = 0.02;
const FIRST_PROBES = 3;
const MOST_PROBES = 4;
/** Requests after which the first look at the link follows once everything runs here; doubling from look to look. */
const FIRST_LOOK = 4;
/** Crossings after which looks become rarer. */
const KNOWN = 8;
/** Requests before the same candidate is probed again. */
const STALE = 20;
/** Candidates that are so close are told apart by accuracy. */
const TIE = 0.02;

export function createPlanner({ candidates, work, now, random, limits = {} }: PlannerOptions): Planner {
  const forecaster = new Forecaster(work);
  const outage = new Outage(random);
  const lastRun = new Map<string, number>();
  let requests = 0;
  let probes = FIRST_PROBES;
  let current: Candidate | undefined;
  let switched = 0;
  /** Last request that crossed, and how many later the next one may, to have a look. */
  let crossed = 0;
  let look = FIRST_LOOK;
  /** Whether the next probe is of what could be the fastest. */
  let bold = false;
  /** Last request before the first one that was given up came back, and the link as it was thought to be; -1 for none. */
  let suspected = -1;
  let before: LinkEstimate | undefined;
  let change: { what: string; until: number } | undefined;

  function decide({
    limits: own,
    candidates: open = candidates,
    ready = () => true,
  }: Question = {}): Decision {
    requests++;
    probes = Math.min(MOST_PROBES, probes + PROBES);
    const within = { ...limits, ...own };
    if (open.length === 0) throw new RangeError('The options leave no way of computing.');
    const all = ranked(open, within);
    const here = all.some(({ candidate }) => ready(candidate)) ? all.filter((f) => ready(f.candidate)) : all;
    const local = here.find(({ candidate }) => candidate.plan === 'local');
    const wanted = all[0] !== here[0] && all[0]!.ms < 0.8 * here[0]!.ms ? { wanted: all[0]!.candidate } : {};
    const finish = (forecast: Forecast, kind: Decision['kind'], why: string): Decision => {
      lastRun.set(forecast.candidate.id, requests);
      if (forecast.candidate.plan !== 'local') crossed = requests;
      return {
        candidate: forecast.candidate,
        predictedMs: forecast.ms,
        ...patience(forecast, local, within, kind),
        ...{ kind, why, number: requests },
        ...wanted,
      };
    };
    if (here.length === 1)
      return finish(here[0]!, 'only', `${here[0]!.candidate.id}: nothing else is possible.`);
    if (outage.on && local) {
      const back = least(
        here.filter((f) => f !== local && f.ms < local.ms),
        (f) => f.linkMs,
      );
      if (back && outage.mayTry(now()))
        return finish(back, 'return', `${back.candidate.id}: a try whether the tail answers again.`);
      return finish(local, 'stay', 'local: the tail did not answer lately.');
    }
    const { best, kind, why } = choice(here, within);
    const sure = suspected < 0 || best.candidate.plan === 'local';
    const probe = kind === 'stay' && sure ? worthProbing(here, best, within) : undefined;
    if (probe) {
      return finish(
        probe,
        'probe',
        `${probe.candidate.id}: a probe, as it might be faster than ${best.candidate.id}.`,
      );
    }
    if (best.candidate.id !== current?.id) switched = requests;
    if (best.candidate.plan !== 'local') look = FIRST_LOOK;
    current = best.candidate;
    return finish(best, kind, why);
  }

  /** Fewest limits exceeded first, then the fastest; among those as good as tied the most accurate. */
  function ranked(open: readonly Candidate[], within: Limits): Forecast[] {
    const rank = (f: Forecast) => exceeded(f, within, forecaster.link.deviationMs).length;
    const sorted = open
      .map((candidate) => forecaster.forecast(candidate))
      .sort((a, b) => rank(a) - rank(b) || a.ms - b.ms);
    const first = sorted[0]!;
    const tied = sorted.filter((f) => rank(f) === rank(first) && f.ms <= first.ms * (1 + TIE));
    const accurate = tied.reduce((a, b) =>
      (b.candidate.accuracy ?? 0) > (a.candidate.accuracy ?? 0) ? b : a,
    );
    return [accurate, ...sorted.filter((f) => f !== accurate)];
  }

  function choice(
    here: readonly Forecast[],
    within: Limits,
  ): { best: Forecast; kind: 'stay' | 'switch'; why: string } {
    const best = here[0]!;
    const now = here.find(({ candidate }) => candidate.id === current?.id);
    const misses = exceeded(best, within, forecaster.link.deviationMs);
    const expected = `${best.candidate.id}: ${ms(best.ms)} expected`;
    if (misses.length > 0 && (!now || now === best))
      return {
        best,
        kind: now ? 'stay' : 'switch',
        why: `${expected}; no way keeps ${misses.join(' and ')}.`,
      };
    if (!now) return { best, kind: 'switch', why: `${expected}, the least of ${here.length} ways.` };
    if (now === best)
      return { best, kind: 'stay', why: `${expected}, still the least of ${here.length} ways.` };
    const gain = 1 - best.ms / now.ms;
    const tooSlow = exceeded(now, within, forecaster.link.deviationMs).length > misses.length;
    const changed = change && requests <= change.until ? change.what : undefined;
    const settled = requests - switched >= DWELL || gain > CLEARLY;
    const margin = requests - switched >= LONG ? HYSTERESIS / 3 : HYSTERESIS;
    if (tooSlow || (changed && gain > 0) || (gain > margin && settled)) {
      const because = tooSlow
        ? 'which keeps the limits'
        : changed
          ? `as ${changed} changed`
          : `${ms(now.ms - best.ms)} less`;
      return { best, kind: 'switch', why: `${expected}, ${because}; before: ${now.candidate.id}.` };
    }
    return {
      best: now,
      kind: 'stay',
      why: `${now.candidate.id}: ${ms(now.ms)} expected; ${best.candidate.id} is hardly faster.`,
    };
  }

  /**
   * One of those that could beat the best, were their link, server or device better than is known: in turn the cheapest, which
   * sees whether anything has changed, and the one that could be the fastest.
   */
  function worthProbing(here: readonly Forecast[], best: Forecast, within: Limits): Forecast | undefined {
    const misses = exceeded(best, within, forecaster.link.deviationMs).length;
    const few = here.filter(
      (f) =>
        f !== best &&
        f.ms <= MOST_PROBES * best.ms &&
        exceeded(f, { ...within, deadlineMs: Number.POSITIVE_INFINITY }, 0).length <= misses &&
        forecaster.best(f, best, now()) < (1 - HYSTERESIS) * best.ms &&
        (athome(best, f) || requests - (lastRun.get(f.candidate.id) ?? Number.NEGATIVE_INFINITY) > STALE),
    );
    const worth = least(few, (f) => (bold ? forecaster.best(f, best, now()) : f.ms));
    if (!worth) return undefined;
    const cost = Math.max(1, worth.ms / best.ms);
    if (athome(best, worth)) {
      // Nothing tells about link and server while all runs here: looks at them, soon after the last crossing and then rarer.
      if (requests - crossed < look) return undefined;
      bold = !bold;
      // The first crossings are slow for other reasons as well (connections, sessions that are compiled): no hurry to believe them.
      if (forecaster.link.samples >= KNOWN) look = Math.min(1 / PROBES, 2 * look);
      return worth;
    }
    if (cost > probes) return undefined;
    probes -= cost;
    bold = !bold;
    return worth;
  }

  function patience(
    { candidate, linkMs, serverMs, deviceMs }: Forecast,
    local: Forecast | undefined,
    { deadlineMs = Number.POSITIVE_INFINITY }: Limits,
    kind: Decision['kind'],
  ): Pick<Decision, 'patienceMs'> {
    if (!local || candidate.plan === 'local') return {};
    const usual = linkMs + serverMs;
    const { samples, deviationMs } = forecaster.link;
    const sure = samples >= 3;
    const long = !sure
      ? 2000
      : kind === 'return'
        ? (1.5 * usual + 10) * outage.leniency
        : 2.5 * usual + 4 * deviationMs + 10;
    return { patienceMs: Math.max(20, Math.min(long, deadlineMs - deviceMs - local.ms)) };
  }

  function trust(): void {
    suspected = -1;
    before = undefined;
  }

  return {
    decide,
    observe(candidate, seen) {
      if (candidate.plan !== 'local') {
        outage.over();
        trust();
      }
      const what = forecaster.observe(candidate, seen, now());
      if (what) change = { what, until: requests + DWELL };
    },
    failed({ candidate, number }, waitedMs) {
      if (candidate.plan === 'local' || outage.on || number <= suspected) return;
      const alone = suspected < 0;
      if (waitedMs !== undefined && alone) {
        // Late is not lost: the next one is planned for a link that slow, and if it comes, the link was only slower.
        suspected = requests;
        before = forecaster.link;
        forecaster.link = before.copy();
        if (forecaster.tooLate(candidate, waitedMs)) change = { what: 'the link', until: requests + DWELL };
        return;
      }
      if (before) forecaster.link = before;
      trust();
      outage.begins(now());
    },
    alternatives(of = candidates) {
      return ranked(of, limits)
        .sort((a, b) => a.ms - b.ms)
        .map(({ candidate, ms, bytes }) => {
          const observedMs = forecaster.observedMs(candidate);
          return { candidate, predictedMs: ms, bytes, ...(observedMs !== undefined && { observedMs }) };
        });
    },
    bases: () => forecaster.device.bases(),
    restore: (bases) => forecaster.device.restore(bases),
  };
}

function least(forecasts: readonly Forecast[], of: (f: Forecast) => number): Forecast | undefined {
  return forecasts.reduce<Forecast | undefined>((a, b) => (!a || of(b) < of(a) ? b : a), undefined);
}

const athome = (best: Forecast, other: Forecast) => best.candidate.plan === 'local' && other !== best;

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
