// The real half of `bench planner`: every policy through phases of a real shaped link, in turns with every way by itself, so
// that the oracle is of the same machine and the same minutes.
import type { Session } from '../src/client/types.ts';
import { type Answer, type Phase, type RealLink, realLink, SLOW } from './plannerLink.ts';
import { linUcb, neurosurgeon, type Policy } from './plannerPolicies.ts';
import { average, figures, round } from './plannerSimulation.ts';
import type { Arm, World } from './plannerWorld.ts';
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
  { name: 'device 4 times faster', phases: during({ name: 'fast device', slow: SLOW / 4 }) },
  { name: 'jitter of 30 ms', phases: during({ name: 'jitter', link: { jitterMs: 30 } }) },
  { name: 'lte 4→1→0.4→1 Mbit/s', phases: [lte(4), lte(1), lte(0.4), lte(1)] },
  { name: 'server with 2 other clients', phases: during({ name: 'server load', rivals: 2 }) },
];
const DEADLINE_MS = 250;
/** A plan has followed a step once its way is that close to the best one, going by medians of probes. */
const FOLLOWED = 1.15;

/** How often each thing is asked. */
interface Counts {
  /** Answers before anything counts, for those who learn. */
  warmUp: number;
  /** Turns of every policy and every way in each phase. */
  turns: number;
  /** Answers of a policy in one turn. */
  answers: number;
  /** Answers of one way in one turn. */
  probes: number;
}
const QUICK: Counts = { warmUp: 8, turns: 2, answers: 5, probes: 2 };
/** Long phases, as in the simulation: what a step costs is shared by the answers that follow it. */
const FULL: Counts = { warmUp: 20, turns: 5, answers: 15, probes: 3 };

/** Milliseconds of one way in one kind of phase. */
type Probed = Map<string, number[]>;

/** Who chooses a way for every request, and what came of it. */
interface Player {
  policy: string;
  ask(): Promise<Answer>;
  /** By phase. */
  answers: Answer[][];
}

/** @param quick a minute or two in the place of about ten */
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

/**
 * Everyone in short turns through the same minutes of each phase: a machine that is busier in one minute than in another
 * is so for all of them.
 */
async function playTrace(
  link: RealLink,
  session: Session,
  trace: string,
  phases: readonly Phase[],
  counts: Counts,
): Promise<Row[]> {
  const { world } = link;
  await using own = await link.open({ mode: 'auto' });
  const rival = (policy: Policy): Player => ({
    policy: policy.name,
    answers: phases.map(() => []),
    async ask() {
      const { arm } = policy.decide(performance.now(), {} as never);
      const answer = await link.ask(session, arm);
      tell(policy, arm, answer);
      return answer;
    },
  });
  const players: Player[] = [
    rival(neurosurgeon(world)),
    rival(linUcb(world)),
    { policy: 'isthmus', answers: phases.map(() => []), ask: () => link.ask(own) },
  ];
  const probed = new Map(phases.map(({ name }) => [name, new Map() as Probed]));
  async function probe(ways: Probed): Promise<void> {
    for (const arm of world.arms) {
      // The first after another way meets cold caches, which a plan that stays does not.
      await link.ask(session, arm);
      const known = ways.get(arm.id) ?? [];
      for (let i = 0; i < counts.probes; i++) known.push((await link.ask(session, arm)).ms);
      ways.set(arm.id, known);
    }
  }

  await link.enter(phases[0]!);
  for (const { ask } of players) for (let i = 0; i < counts.warmUp; i++) await ask();
  for (const [index, phase] of phases.entries()) {
    await link.enter(phase);
    for (let turn = 0; turn < counts.turns; turn++) {
      for (const { ask, answers } of players)
        for (let i = 0; i < counts.answers; i++) answers[index]!.push(await ask());
      await probe(probed.get(phase.name)!);
    }
  }
  return rowsOf(trace, phases, world, players, probed);
}

function rowsOf(
  trace: string,
  phases: readonly Phase[],
  world: World,
  players: readonly Player[],
  probed: ReadonlyMap<string, Probed>,
): Row[] {
  // The best way of each phase in hindsight: whoever knew it beforehand could not do better but by luck.
  const of = (phase: Phase, id: string) => probed.get(phase.name)!.get(id)!;
  const best = (phase: Phase) =>
    world.arms.reduce((a, b) => (average(of(phase, b.id)) < average(of(phase, a.id)) ? b : a)).id;
  const always = (id: string) => phases.map((phase) => of(phase, id));
  const mean = (perPhase: readonly (readonly number[])[]) => average(perPhase.map(average));
  const fixedBest = (arms: readonly Arm[]) =>
    arms.reduce((a, b) => (mean(always(b.id)) < mean(always(a.id)) ? b : a)).id;
  const cuts = world.arms.filter(({ plan }) => plan === 'split');
  const oracle = phases.map((phase) => of(phase, best(phase)));
  const row = (policy: string, perPhase: readonly (readonly number[])[], more: Row): Row => ({
    ...{ world: world.name, where: 'real', trace, policy, requests: perPhase.flat().length },
    ...figures(perPhase.flat(), DEADLINE_MS),
    // Phases of one name share their probes, and would else count more than others.
    meanMs: round(mean(perPhase)),
    regretPercent: round(100 * (mean(perPhase) / mean(oracle) - 1)),
    ...more,
  });
  const bytesOf = (id: string) => world.arms.find((arm) => arm.id === id)!.bytes;
  const probedRow = (policy: string, id: string) =>
    row(policy, always(id), { bytesUp: bytesOf(id), switches: 0, replanRequests: null });
  return [
    probedRow('local', 'local'),
    probedRow('remote', 'remote'),
    probedRow('static', fixedBest(world.arms)),
    probedRow('static cut', fixedBest(cuts)),
    ...players.map(({ policy, answers }) => {
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

function tell(policy: Policy, arm: Arm, { ms, bytes, report, instead }: Answer): void {
  const now = performance.now();
  if (instead || !report) policy.failed({ arm }, now, ms);
  else policy.observe(arm, { ...report.ms, bytesUp: bytes, bytesDown: report.bytes.down }, now);
}
