// The real half of `bench planner`: the real client with heads in Node, the real tail, and a TCP proxy between them that is
// narrow, slow or silent as the trace says. The device is slowed down by running every head several times.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HEALTHY, type LinkFaults } from '../e2e/faults/link.ts';
import { tcpProxy } from '../e2e/faults/tcpProxy.ts';
import type { Result } from '../src/client/resultTypes.ts';
import type { RunOptions, Session } from '../src/client/types.ts';
import { nodeRuntime } from '../src/head/node/nodeRuntime.ts';
import type { HeadRuntime, StageTimes } from '../src/head/runtime.ts';
import { connect } from '../src/index.node.ts';
import { candidatesOf } from '../src/planner/candidates.ts';
import { workOf } from '../src/planner/work.ts';
import { createTailServer } from '../src/tail/index.ts';
import { packageRoot } from './datasets.ts';
import { fixed, linUcb, neurosurgeon, type Policy } from './plannerPolicies.ts';
import { average, figures, round } from './plannerSimulation.ts';
import type { Arm, World } from './plannerWorld.ts';
import type { Row } from './report.ts';

/** Some requests under the same conditions. */
interface Phase {
  link: Partial<LinkFaults>;
  /** How many times every head runs. */
  slow: number;
}

const MBIT = 1e6 / 8;
const LINK: LinkFaults = { ...HEALTHY, latencyMs: 10, bytesPerSecond: 20 * MBIT };
const SLOW = 8;
const calm: Phase = { link: {}, slow: SLOW };
const TRACES: { name: string; phases: Phase[] }[] = [
  {
    name: 'step 20→0.4→20 Mbit/s',
    phases: [calm, { link: { bytesPerSecond: 0.4 * MBIT }, slow: SLOW }, calm],
  },
  { name: 'round trip 20→200→20 ms', phases: [calm, { link: { latencyMs: 100 }, slow: SLOW }, calm] },
  { name: 'outage', phases: [calm, { link: { blackhole: true }, slow: SLOW }, calm] },
  { name: 'device 8→2→8 times slower', phases: [calm, { link: {}, slow: 2 }, calm] },
];
const DEADLINE_MS = 250;

export async function measureReal(quick: boolean): Promise<Row[]> {
  const perPhase = quick ? 8 : 40;
  const photo = await readFile(join(packageRoot, 'public', 'samples', 'church.jpg'));
  const server = await createTailServer({
    models: join(packageRoot, 'models'),
    port: 0,
    logger: false,
    threads: 1,
  });
  const proxy = await tcpProxy(server.port);
  const conditions = { slow: SLOW };
  const address = `http://127.0.0.1:${proxy.port}/models/neck10`;
  const open = async (options: Parameters<typeof connect>[1]): Promise<Session> => {
    proxy.set({ ...HEALTHY });
    const session = await connect(address, { ...options, runtime: slowed(nodeRuntime(), conditions) });
    // Everything compiled, and the link warm, before anything counts.
    await session.run(photo, { mode: 'only-local' });
    await session.run(photo, { mode: 'only-remote' });
    return session;
  };
  const enter = ({ link, slow }: Phase) => {
    conditions.slow = slow;
    proxy.set({ ...LINK, ...link });
  };
  const rows: Row[] = [];
  try {
    const world = await profile(await open({ mode: 'only-local' }), photo, () => enter(calm));
    for (const { name, phases } of TRACES) {
      console.log(`${name}: ${world.arms.length + 3} policies over a real link …`);
      const play = async (policy: Policy | 'isthmus') => {
        await using session = await open(policy === 'isthmus' ? { mode: 'auto' } : { mode: 'prefer-split' });
        const played: { ms: number; bytes: number; way: string }[][] = [];
        for (const phase of phases) {
          enter(phase);
          const answers: (typeof played)[number] = [];
          for (let i = 0; i < perPhase; i++) {
            const arm = policy === 'isthmus' ? undefined : policy.decide(performance.now(), {} as never).arm;
            const { report } = await session.run(photo, arm && optionsOf(arm));
            if (arm && policy !== 'isthmus') tell(policy, arm, report);
            const way = arm?.id ?? `${report.ran} ${report.cut ?? ''} ${report.preset ?? ''}`;
            answers.push({ ms: report.ms.total, bytes: report.bytes.up, way });
          }
          played.push(answers);
        }
        return played;
      };
      type Played = Awaited<ReturnType<typeof play>>;
      const arms = new Map<string, Played>();
      for (const arm of world.arms) arms.set(arm.id, await play(fixed(arm.id, arm)));
      const meanOf = (played: Played) => average(played.flat().map(({ ms }) => ms));
      const best = [...arms.values()].reduce((a, b) => (meanOf(b) < meanOf(a) ? b : a));
      // In hindsight the best fixed way of each phase: nobody could know more than that without knowing the luck as well.
      const oracle = phases.map((_, i) =>
        [...arms.values()].map((played) => played[i]!).reduce((a, b) => (meanOf([b]) < meanOf([a]) ? b : a)),
      );
      const all: [string, Played][] = [
        ['local', arms.get('local')!],
        ['remote', arms.get('remote')!],
        ['static', best],
        ['neurosurgeon', await play(neurosurgeon(world))],
        ['μLinUCB', await play(linUcb(world))],
        ['isthmus', await play('isthmus')],
        ['oracle', oracle],
      ];
      for (const [policy, played] of all) {
        const answers = played.flat();
        const ways = answers.map(({ way }) => way);
        rows.push({
          world: 'real: neck10, Node heads',
          trace: name,
          policy,
          requests: answers.length,
          ...figures(
            answers.map(({ ms }) => ms),
            DEADLINE_MS,
          ),
          bytesUp: Math.round(average(answers.map(({ bytes }) => bytes))),
          regretPercent: round(100 * (meanOf(played) / meanOf(oracle) - 1)),
          switches: ways.filter((way, i) => i > 0 && way !== ways[i - 1]).length,
          replanRequests: null,
        });
      }
    }
  } finally {
    await proxy[Symbol.asyncDispose]();
    await server.close({ graceMs: 500 });
  }
  return rows;
}

/** A device that needs so many times as long for whatever runs segments: it does run them as often. */
function slowed(runtime: HeadRuntime, conditions: { slow: number }): HeadRuntime {
  async function repeat<T extends { timings: StageTimes }>(work: () => Promise<T>): Promise<T> {
    const results: T[] = [];
    for (let i = 0; i < conditions.slow; i++) results.push(await work());
    const timings: StageTimes = {};
    for (const { timings: once } of results)
      for (const [stage, ms] of Object.entries(once) as [keyof StageTimes, number][])
        timings[stage] = (timings[stage] ?? 0) + ms;
    return { ...results[0]!, timings };
  }
  return {
    ...runtime,
    head: (...args) => repeat(() => runtime.head(...args)),
    local: (...args) => repeat(() => runtime.local(...args)),
  };
}

/** What Neurosurgeon and the bandit are given beforehand: the stage times of every way on a calm link, medians of five. */
async function profile(session: Session, photo: Uint8Array, enter: () => void): Promise<World> {
  await using open = session;
  enter();
  const arms: Arm[] = [];
  for (const candidate of candidatesOf(open.manifest, { preset: 'isthmus' })) {
    const blank = { prepare: 0, head: 0, encode: 0, decode: 0, tail: 0 };
    const reports: Result['report'][] = [];
    for (let i = 0; i < 5; i++)
      reports.push((await open.run(photo, onlyOf({ ...candidate, ...blank }))).report);
    const median = (of: (r: Result['report']) => number | undefined) =>
      reports.map((r) => of(r) ?? 0).sort((a, b) => a - b)[2]!;
    arms.push({
      ...candidate,
      bytes: median((r) => r.bytes.up),
      prepare: median((r) => r.ms.preprocess),
      head: median((r) => r.ms.head),
      encode: median((r) => r.ms.encode),
      decode: median((r) => r.ms.decode),
      tail: median((r) => r.ms.tail),
    });
  }
  return { name: 'real', arms, work: workOf(open.manifest), device: 1 };
}

function onlyOf(arm: Arm): RunOptions {
  return { ...optionsOf(arm), mode: `only-${arm.plan}` };
}

/** As a page would ask for it: with everything here as the way out. */
function optionsOf({ plan, cut, preset }: Arm): RunOptions {
  const split = plan === 'split' ? { cut: cut!, codec: preset as NonNullable<RunOptions['codec']> } : {};
  return { mode: `prefer-${plan}`, plan: 'fixed', exits: 'off', ...split };
}

function tell(policy: Policy, arm: Arm, { ran, ms, bytes }: Result['report']): void {
  const now = performance.now();
  if (ran !== arm.plan) policy.failed({ arm }, now, ms.total);
  else policy.observe(arm, { ...ms, bytesUp: bytes.up, bytesDown: bytes.down }, now);
}
