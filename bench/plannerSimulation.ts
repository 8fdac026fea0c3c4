// The simulation of `bench planner`: every policy through every trace, ten requests a second, each answered when its
// time is over and not before. Deterministic for a seed.
import { seeded } from '../e2e/faults/link.ts';
import type { Observation } from '../src/planner/forecaster.ts';
import { fixed, isthmus, linUcb, neurosurgeon, oracle, type Policy } from './plannerPolicies.ts';
import { type Arm, costOf, Luck, type Trace, traces, type World } from './plannerWorld.ts';
import type { Row } from './report.ts';

const PERIOD_MS = 100;
/** What a client waits for a tail before it computes everything itself, where its policy says nothing. */
const PATIENCE_MS = 1000;
const DEADLINE_MS = 250;
/** A plan has followed a step once it is expected to be that close to the best. */
const FOLLOWED = 1.1;

export interface Played {
  latencies: number[];
  bytes: number;
  switches: number;
  /**
   * Answers of requests begun after a step that were here before the plan had followed it; the worst of the steps that it could
   * see: while everything runs here, nothing tells of link and server.
   */
  replan: number | undefined;
}

interface Answer {
  at: number;
  started: number;
  /** Of its request. */
  last: boolean;
  tell(): void;
}

export function play(world: World, trace: Trace, policy: Policy, seed: number): Played {
  const random = seeded(seed);
  const local = world.arms.find((arm) => arm.plan === 'local')!;
  const best = oracle(world);
  const waiting: Answer[] = [];
  const played: Played = { latencies: [], bytes: 0, switches: 0, replan: undefined };
  const steps = trace.steps.map((second) => ({
    from: second * 1000,
    answers: 0,
    followed: false,
    seen: false,
  }));
  let last: Arm | undefined;
  for (let now = 0; now < trace.seconds * 1000; now += PERIOD_MS) {
    const luck = new Luck(random, world.noise);
    waiting.sort((a, b) => a.at - b.at);
    while (waiting[0] && waiting[0].at <= now) {
      const answer = waiting.shift()!;
      answer.tell();
      for (const step of steps)
        if (!step.followed && answer.started >= step.from) step.answers += answer.last ? 1 : 0;
    }
    const conditions = trace.at(now / 1000);
    const chosen = policy.decide(now, conditions);
    const { arm, patienceMs = PATIENCE_MS, race } = chosen;
    const expected = (a: Arm) => costOf(world, a, conditions).total;
    const good = expected(arm) <= FOLLOWED * expected(best.decide(now, conditions).arm);
    for (const step of steps) {
      step.followed ||= now >= step.from && good;
      if (now >= step.from && now < step.from + PERIOD_MS) step.seen = arm.plan !== 'local';
    }
    if (last && arm !== last) played.switches++;
    last = arm;
    const seen = costOf(world, arm, conditions, luck);
    const sent = (seen.preprocess ?? 0) + (seen.head ?? 0) + (seen.encode ?? 0);
    played.bytes += seen.bytesUp;
    const answers = (at: number, last: boolean, tell: () => void) =>
      void waiting.push({ at, started: now, last, tell });
    const hears = (of: Arm, what: Observation, at: number, last = true) =>
      answers(at, last, () => policy.observe(of, what, at));
    const givesUp = (after: number) =>
      answers(now + sent + after, false, () => policy.failed(chosen, now + sent + after, after));
    const crossing = seen.total - sent;
    const here = costOf(world, local, conditions, luck);
    if (race) {
      played.latencies.push(sent + Math.min(crossing, here.total));
      hears(local, here, now + sent + here.total, here.total < crossing);
      if (crossing > Math.max(here.total, race.lateMs)) givesUp(race.lateMs);
      else hears(arm, seen, now + seen.total, crossing <= here.total);
    } else if (arm.plan !== 'local' && crossing > patienceMs) {
      played.latencies.push(sent + patienceMs + here.total);
      givesUp(patienceMs);
      hears(local, here, now + sent + patienceMs + here.total);
    } else {
      played.latencies.push(seen.total);
      hears(arm, seen, now + seen.total);
    }
  }
  const visible = steps.filter((step) => step.seen);
  if (visible.length > 0)
    played.replan = Math.max(...visible.map((s) => (s.followed ? s.answers : Number.POSITIVE_INFINITY)));
  return played;
}

/** All policies over all traces of a world; the best fixed ways are found by trying each. */
export function simulate(world: World, seed: number): Row[] {
  return traces(seed).flatMap((trace) => {
    const run = (policy: Policy) => ({ policy: policy.name, played: play(world, trace, policy, seed) });
    const arms = world.arms.map((arm) => ({ arm, ...run(fixed(arm.id, arm)) }));
    const mean = ({ played }: { played: Played }) => average(played.latencies);
    const best = (of: typeof arms) => of.reduce((a, b) => (mean(b) < mean(a) ? b : a)).played;
    const perfect = run(oracle(world));
    const all = [
      ...arms.filter(({ policy }) => policy === 'local' || policy === 'remote'),
      { policy: 'static', played: best(arms) },
      { policy: 'static cut', played: best(arms.filter(({ arm }) => arm.plan === 'split')) },
      run(neurosurgeon(world)),
      run(linUcb(world)),
      run(isthmus(world, seed)),
      perfect,
    ];
    return all.map(({ policy, played }) => ({
      world: world.name,
      where: 'simulated',
      trace: trace.name,
      policy,
      requests: played.latencies.length,
      ...figures(played.latencies, DEADLINE_MS),
      bytesUp: Math.round(played.bytes / played.latencies.length),
      regretPercent: round(100 * (average(played.latencies) / mean(perfect) - 1)),
      switches: played.switches,
      replanRequests: played.replan === undefined ? null : Math.min(played.replan, 999),
    }));
  });
}

/** Several seeds as one row each: means, but regret and answers after a step of the worst seed. */
export function simulateAll(world: World, seeds: readonly number[]): Row[] {
  const bySeed = seeds.map((seed) => simulate(world, seed));
  return bySeed[0]!.map((first, i) => {
    const rows = bySeed.map((of) => of[i]!);
    const all = (column: string) => rows.map((row) => row[column]).filter((v) => typeof v === 'number');
    const mean = (column: string) => round(average(all(column)));
    return {
      ...first,
      seeds: seeds.length,
      requests: seeds.length * (first.requests as number),
      ...{ meanMs: mean('meanMs'), p95Ms: mean('p95Ms'), deadlineMisses: mean('deadlineMisses') },
      ...{ bytesUp: Math.round(mean('bytesUp')), switches: Math.round(mean('switches')) },
      regretPercent: Math.max(...all('regretPercent')),
      replanRequests: all('replanRequests').length > 0 ? Math.max(...all('replanRequests')) : null,
    };
  });
}

/** Mean and 95th percentile, milliseconds, and how many missed the deadline. */
export function figures(latencies: readonly number[], deadlineMs: number): Row {
  const sorted = [...latencies].sort((a, b) => a - b);
  return {
    meanMs: round(average(latencies)),
    p95Ms: round(sorted[Math.floor(0.95 * (sorted.length - 1))]!),
    deadlineMisses: latencies.filter((ms) => ms > deadlineMs).length,
  };
}

export const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
export const round = (value: number) => Math.round(value * 100) / 100;
