// The real half of `bench planner`: every policy through phases of a real shaped link. What each way costs in each phase is
// probed on the same link before and after, so that the oracle is of the same machine and the same minutes.
import type { Session } from '../src/client/types.ts';
import { type Answer, type Phase, type RealLink, realLink, SLOW } from './plannerLink.ts';
import { linUcb, neurosurgeon, type Policy } from './plannerPolicies.ts';
import { average, figures, round } from './plannerSimulation.ts';
import type { Arm } from './plannerWorld.ts';
import { median, type Row } from './report.ts';

const MBIT = 1e6 / 8;
const calm: Phase = { name: 'calm' };
const lte = (mbit: number): Phase => ({
  name: `${mbit} Mbit/s`,
  link: { bytesPerSecond: mbit * MBIT, latencyMs: 22, jitterMs: 5 },
});
const during = (phase: Phase) => [calm, phase, calm];
const TRACES: { name: string; phases: Phase[] }[] = [
  { name: 'step 20→0.4→20 Mbit/s', phases: during({ name: 'slow', link: { bytesPerSecond: 0.4 * MBIT } }) },
  { name: 'round trip 20→200→20 ms', phases: during({ name: 'far', link: { latencyMs: 100 } }) },
  { name: 'outage', phases: during({ name: 'outage', link: { blackhole: true } }) },
  { name: 'device 8→2→8 times slower', phases: during({ name: 'fast device', slow: SLOW / 4 }) },
  { name: 'jitter of 30 ms', phases: during({ name: 'jitter', link: { jitterMs: 30 } }) },
  { name: 'lte 4→1→0.4→1 Mbit/s', phases: [lte(4), lte(1), lte(0.4), lte(1)] },
  { name: 'server with 2 other clients', phases: during({ name: 'server load', rivals: 2 }) },
];
const DEADLINE_MS = 250;
/** A plan has followed a step once its way is that close to the best one, going by medians of probes. */
const FOLLOWED = 1.15;

/** How often each thing is asked. */
interface Counts {
  perPhase: number;
  /** Answers before anything counts, for those who learn. */
  warmUp: number;
  /** Per way, per kind of phase, before and again after the policies. */
  probes: number;
}
const QUICK: Counts = { perPhase: 8, warmUp: 8, probes: 2 };
/** Long phases, as in the simulation: what a step costs is shared by the answers that follow it. */
const FULL: Counts = { perPhase: 120, warmUp: 20, probes: 8 };

/** Milliseconds of the probes of one way in one kind of phase. */
type Probed = Map<string, number[]>;

/** @param quick a few minutes in the place of about twenty */
export async function measureReal(quick: boolean): Promise<Row[]> {
  const counts = quick ? QUICK : FULL;
  await using link = await realLink();
  await using session = await link.open({ mode: 'prefer-split' });
  const rows: Row[] = [];
  for (const { name, phases } of TRACES) {
    const started = performance.now();
    rows.push(...(await playTrace(link, session, name, phases, counts)));
    console.log(`real link, ${name}: ${Math.round((performance.now() - started) / 1000)} s`);
  }
  return rows;
}

async function playTrace(
  link: RealLink,
  session: Session,
  trace: string,
  phases: readonly Phase[],
  counts: Counts,
): Promise<Row[]> {
  const { world } = link;
  const kinds = [...new Map(phases.map((phase) => [phase.name, phase])).values()];
  const probed = new Map(kinds.map(({ name }) => [name, new Map() as Probed]));
  const probe = async () => {
    for (const kind of kinds) {
      await link.enter(kind);
      const ways = probed.get(kind.name)!;
      for (const arm of world.arms) {
        // The first after another way meets cold caches, which a plan that stays does not.
        await link.ask(session, arm);
        const known = ways.get(arm.id) ?? [];
        for (let i = 0; i < counts.probes; i++) known.push((await link.ask(session, arm)).ms);
        ways.set(arm.id, known);
      }
    }
    await link.enter(calm);
  };
  const play = async (policy: Policy): Promise<Answer[][]> => {
    const answers = async (phase: Phase, count: number) => {
      await link.enter(phase);
      const list: Answer[] = [];
      for (let i = 0; i < count; i++) {
        const { arm } = policy.decide(performance.now(), {} as never);
        const answer = await link.ask(session, arm);
        tell(policy, arm, answer);
        list.push(answer);
      }
      return list;
    };
    await answers(phases[0]!, counts.warmUp);
    return await inTurn(phases, (phase) => answers(phase, counts.perPhase));
  };
  const ours = async (): Promise<Answer[][]> => {
    await using own = await link.open({ mode: 'auto' });
    const answers = async (phase: Phase, count: number) => {
      await link.enter(phase);
      const list: Answer[] = [];
      for (let i = 0; i < count; i++) list.push(await link.ask(own));
      return list;
    };
    await answers(phases[0]!, counts.warmUp);
    return await inTurn(phases, (phase) => answers(phase, counts.perPhase));
  };

  await probe();
  const played: [string, Answer[][]][] = [
    ['neurosurgeon', await play(neurosurgeon(world))],
    ['μLinUCB', await play(linUcb(world))],
    ['isthmus', await ours()],
  ];
  await probe();
  // The best way of each phase in hindsight: whoever knew it beforehand could not do better but by luck.
  const of = (phase: Phase, id: string) => probed.get(phase.name)!.get(id)!;
  const best = (phase: Phase) =>
    world.arms.reduce((a, b) => (average(of(phase, b.id)) < average(of(phase, a.id)) ? b : a)).id;
  const always = (id: string) => phases.map((phase) => of(phase, id));
  const mean = (perPhase: readonly (readonly number[])[]) => average(perPhase.map(average));
  const fixedBest = world.arms.reduce((a, b) => (mean(always(b.id)) < mean(always(a.id)) ? b : a)).id;
  const oracle = phases.map((phase) => of(phase, best(phase)));
  const row = (policy: string, perPhase: readonly (readonly number[])[], more: Row): Row => ({
    ...{ world: world.name, where: 'real', trace, policy, requests: perPhase.flat().length },
    ...figures(perPhase.flat(), DEADLINE_MS),
    regretPercent: round(100 * (mean(perPhase) / mean(oracle) - 1)),
    ...more,
  });
  const bytesOf = (id: string) => world.arms.find((arm) => arm.id === id)!.bytes;
  const probedRow = (policy: string, id: string) =>
    row(policy, always(id), { bytesUp: bytesOf(id), switches: 0, replanRequests: null });
  return [
    probedRow('local', 'local'),
    probedRow('remote', 'remote'),
    probedRow('static', fixedBest),
    ...played.map(([policy, answers]) => {
      const ways = answers.flat().map(({ way }) => way);
      return row(
        policy,
        answers.map((list) => list.map(({ ms }) => ms)),
        {
          bytesUp: Math.round(average(answers.flat().map(({ bytes }) => bytes))),
          switches: ways.filter((way, i) => i > 0 && way !== ways[i - 1]).length,
          replanRequests: replan(answers, phases, (phase, id) => median(of(phase, id)), best),
        },
      );
    }),
    row('oracle', oracle, {
      bytesUp: Math.round(average(phases.map((phase) => bytesOf(best(phase))))),
      switches: phases.filter((phase, i) => i > 0 && best(phase) !== best(phases[i - 1]!)).length,
      replanRequests: null,
    }),
  ];
}

/** Answers until the plan has followed a step, the worst of those that it could see: not while everything ran here. */
function replan(
  answers: readonly (readonly Answer[])[],
  phases: readonly Phase[],
  cost: (phase: Phase, id: string) => number,
  best: (phase: Phase) => string,
): number | null {
  const steps = phases.slice(1).flatMap((phase, i) => {
    if (answers[i]!.at(-1)!.way === 'local' || phase.name === phases[i]!.name) return [];
    const list = answers[i + 1]!;
    const least = cost(phase, best(phase));
    const at = list.findIndex(
      ({ way, instead }) => !instead && way !== 'none' && cost(phase, way) <= FOLLOWED * least,
    );
    return [at < 0 ? list.length : at];
  });
  return steps.length > 0 ? Math.max(...steps) : null;
}

async function inTurn<T, R>(list: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const one of list) results.push(await work(one));
  return results;
}

function tell(policy: Policy, arm: Arm, { ms, bytes, report, instead }: Answer): void {
  const now = performance.now();
  if (instead || !report) policy.failed({ arm }, now, ms);
  else policy.observe(arm, { ...report.ms, bytesUp: bytes, bytesDown: report.bytes.down }, now);
}
