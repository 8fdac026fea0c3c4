// Planner: which candidate each request takes. The fastest expected one within the limits, with hysteresis, rare probes of
// what could be faster, and a way back after outages. Pure: time and chance are handed in, nothing is sent from here.
import type { Candidate } from './candidates.ts';
import { Forecaster } from './forecaster.ts';
import { exceeded, type Forecast, type Limits } from './limits.ts';
import type { LinkEstimate } from './linkEstimate.ts';
import { Outage } from './outage.ts';
import type { Decision, Planner, PlannerOptions, Question } from './plannerTypes.ts';
import { patienceFor, ranked } from './ranking.ts';

/** A switch has to promise that much, except after a change. */
const HYSTERESIS = 0.06;
/** Requests that a choice lasts at least, where nothing changed and no other promises {@link CLEARLY} more. */
const DWELL = 3;
const CLEARLY = 0.3;
/** Requests after which less is enough to switch. */
const LONG = 20;
/** What probes may cost, as a share of all requests. One that takes k times as long as the best choice counts as k - 1, or as this. */
const PROBES = 0.02;
const LEAST_COST = 0.3;
const FIRST_PROBES = 3;
const MOST_PROBES = 4;
/** Requests after which the first look at the link follows once everything runs here; doubling from look to look. */
const FIRST_LOOK = 4;
const MOST_LOOK = 25;
/** Crossings after which looks become rarer. */
const KNOWN = 8;
/** Requests before the same candidate is probed again. */
const STALE = 20;
/** Requests without a candidate that failed here, the first time and at most. */
const FIRST_BAN = 8;
const MOST_BAN = 512;
/** A share of runs that end early which is worth a word. */
const NOTABLE = 0.05;

export function createPlanner({ candidates, work, now, random, limits = {} }: PlannerOptions): Planner {
  const forecaster = new Forecaster(work);
  const outage = new Outage(random);
  const lastRun = new Map<string, number>();
  /** What failed here, until which request it is not taken, and for how many the next time. */
  const banned = new Map<string, { until: number; next: number }>();
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
    const whole = open.filter(({ id }) => requests >= (banned.get(id)?.until ?? 0));
    const all = forecasts(whole.length > 0 ? whole : open, within);
    const here = all.some(({ candidate }) => ready(candidate)) ? all.filter((f) => ready(f.candidate)) : all;
    const local = here.find(({ candidate }) => candidate.plan === 'local');
    const wanted = all[0] !== here[0] && all[0]!.ms < 0.8 * here[0]!.ms ? { wanted: all[0]!.candidate } : {};
    const finish = (forecast: Forecast, kind: Decision['kind'], why: string, races = false): Decision => {
      lastRun.set(forecast.candidate.id, requests);
      if (forecast.candidate.plan !== 'local') crossed = requests;
      const patienceMs = patienceFor(forecast, local, within, kind, forecaster.link, outage);
      const race = races && patienceMs !== undefined;
      if (race) lastRun.set('local', requests);
      const ending = forecaster.endingEarly(forecast.candidate);
      const early = ending < NOTABLE ? '' : `; about ${Math.round(100 * ending)} % end at an exit before`;
      return {
        candidate: forecast.candidate,
        predictedMs: forecast.ms,
        deviceMs: forecast.deviceMs,
        ...(patienceMs !== undefined && { patienceMs: race ? 0 : patienceMs }),
        ...(race && { race: { lateMs: patienceMs } }),
        ...{ kind, why: `${why}${early}.`, number: requests },
        ...wanted,
      };
    };
    if (here.length === 1)
      return finish(here[0]!, 'only', `${here[0]!.candidate.id}: nothing else is possible`);
    if (outage.on && local) {
      const others = here.filter((f) => f !== local);
      const faster = others.filter((f) => f.ms < local.ms);
      // What was known of link and server before the outage need not hold after it.
      const maybe = others.filter((f) => forecaster.best(f, local, now()) < local.ms);
      const back = least(faster.length > 0 ? faster : maybe, (f) => f.deviceMs + f.linkMs);
      if (back && outage.mayTry(now()))
        return finish(back, 'return', `${back.candidate.id}: a try whether the tail answers again`, true);
      return finish(local, 'stay', 'local: the tail did not answer lately');
    }
    const { best, kind, why } = choice(here, within);
    const sure = suspected < 0 || best.candidate.plan === 'local';
    const probe = kind === 'stay' && sure ? worthProbing(here, best, within) : undefined;
    if (probe) {
      const why = `${probe.candidate.id}: a probe, as it might be faster than ${best.candidate.id}`;
      // Nobody has to wait for the link while everything runs here.
      return finish(probe, 'probe', why, best === local);
    }
    if (best.candidate.id !== current?.id) switched = requests;
    if (best.candidate.plan !== 'local') look = FIRST_LOOK;
    current = best.candidate;
    return finish(best, kind, why);
  }

  const forecasts = (open: readonly Candidate[], within: Limits) =>
    ranked(
      open.map((candidate) => forecaster.forecast(candidate)),
      within,
      forecaster.link.deviationMs,
    );

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
        why: `${expected}; no way keeps ${misses.join(' and ')}`,
      };
    if (!now) return { best, kind: 'switch', why: `${expected}, the least of ${here.length} ways` };
    if (now === best)
      return { best, kind: 'stay', why: `${expected}, still the least of ${here.length} ways` };
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
      return { best, kind: 'switch', why: `${expected}, ${because}; before: ${now.candidate.id}` };
    }
    return {
      best: now,
      kind: 'stay',
      why: `${now.candidate.id}: ${ms(now.ms)} expected; ${best.candidate.id} is hardly faster`,
    };
  }

  /**
   * One of those that could beat the best, were their link, server or device better than is known: in turn the cheapest, which
   * sees whether anything has changed, and the one that could be the fastest.
   */
  function worthProbing(here: readonly Forecast[], best: Forecast, within: Limits): Forecast | undefined {
    const misses = exceeded(best, within, forecaster.link.deviationMs);
    const home = best.candidate.plan === 'local';
    const few = here.filter(
      (f) =>
        f !== best &&
        // Nobody waits for a look, but for what it takes here before it is sent.
        (home ? f.deviceMs <= best.ms : f.ms <= MOST_PROBES * best.ms) &&
        exceeded(f, { ...within, deadlineMs: Number.POSITIVE_INFINITY }, 0).every((l) =>
          misses.includes(l),
        ) &&
        forecaster.best(f, best, now()) < (1 - HYSTERESIS) * best.ms &&
        (home || requests - (lastRun.get(f.candidate.id) ?? Number.NEGATIVE_INFINITY) > STALE),
    );
    const worth = least(few, (f) =>
      bold ? forecaster.best(f, best, now()) : home ? f.deviceMs + f.linkMs / 4 : f.ms,
    );
    if (!worth) return undefined;
    const cost = Math.max(LEAST_COST, worth.ms / best.ms - 1);
    if (home) {
      // Nothing tells about link and server while all runs here: looks at them, soon after the last crossing and then rarer.
      if (requests - crossed < look) return undefined;
      bold = !bold;
      // The first crossings are slow for other reasons as well (connections, sessions that are compiled): no hurry to believe them.
      if (forecaster.link.samples >= KNOWN) look = Math.min(MOST_LOOK, 2 * look);
      return worth;
    }
    if (cost > probes) return undefined;
    probes -= cost;
    bold = !bold;
    return worth;
  }

  function trust(): void {
    suspected = -1;
    before = undefined;
  }

  return {
    decide,
    observe(candidate, seen) {
      banned.delete(candidate.id);
      const crossed = candidate.plan !== 'local' && seen.exit === undefined;
      const suspicion = crossed && suspected >= 0;
      let heard = seen;
      if (crossed) {
        const { uplink: up, downlink: down = 0, bytesUp, bytesDown } = seen;
        const message = up !== undefined && { bytesUp, bytesDown, ms: up + down };
        // The link was not slower after all: what was known of it holds.
        if (before && message && before.fits(message)) forecaster.link = before;
        // What was sent into an outage has waited for its end, which says nothing about the link.
        if (outage.on && message && !forecaster.link.fits(message)) heard = { ...seen, uplink: undefined };
        outage.over();
        trust();
      }
      const what = forecaster.observe(candidate, heard, now(), suspicion);
      if (what) change = { what, until: requests + DWELL };
    },
    prepared(candidate, ms) {
      if (forecaster.device.observe(candidate, ms)) change = { what: 'this device', until: requests + DWELL };
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
      return forecasts(of, limits)
        .sort((a, b) => a.ms - b.ms)
        .map(({ candidate, ms, bytes }) => {
          const observedMs = forecaster.observedMs(candidate);
          return { candidate, predictedMs: ms, bytes, ...(observedMs !== undefined && { observedMs }) };
        });
    },
    broken({ id }) {
      const pause = banned.get(id)?.next ?? FIRST_BAN;
      banned.set(id, { until: requests + 1 + pause, next: Math.min(MOST_BAN, 2 * pause) });
    },
    newDevice() {
      forecaster.newDevice();
      banned.clear();
    },
    bases: () => forecaster.device.bases(),
    restore: (bases) => forecaster.device.restore(bases),
  };
}

function least(forecasts: readonly Forecast[], of: (f: Forecast) => number): Forecast | undefined {
  return forecasts.reduce<Forecast | undefined>((a, b) => (!a || of(b) < of(a) ? b : a), undefined);
}

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
