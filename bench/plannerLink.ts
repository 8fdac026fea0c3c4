// The world of the real half of `bench planner`: the real client with heads in Node, the real tail, and a TCP proxy between them
// that is narrow, slow or silent as a phase says. The device is slowed down by running every head several times.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { HEALTHY, type LinkFaults } from '../e2e/faults/link.ts';
import { tcpProxy } from '../e2e/faults/tcpProxy.ts';
import type { Result } from '../src/client/resultTypes.ts';
import type { ConnectOptions, RunOptions, Session } from '../src/client/types.ts';
import { nodeRuntime } from '../src/head/node/nodeRuntime.ts';
import type { HeadRuntime, StageTimes } from '../src/head/runtime.ts';
import { connect } from '../src/index.node.ts';
import { candidatesOf } from '../src/planner/candidates.ts';
import { workOf } from '../src/planner/work.ts';
import { createTailServer } from '../src/tail/index.ts';
import { packageRoot } from './datasets.ts';
import type { Arm, World } from './plannerWorld.ts';
import { median } from './report.ts';

/** Some requests under the same conditions. */
export interface Phase {
  /** Phases of one name are alike. */
  name: string;
  link?: Partial<LinkFaults>;
  /** How many times every head runs. */
  slow?: number;
  /** Other clients that ask the tail all the time. */
  rivals?: number;
}

/** One answer, as the page would tell of it. */
export interface Answer {
  ms: number;
  bytes: number;
  /** Id of the arm that answered. */
  way: string;
  /** Whether another way was meant to answer. */
  instead: boolean;
  report: Result['report'] | undefined;
}

export interface RealLink extends AsyncDisposable {
  world: World;
  enter(phase: Phase): Promise<void>;
  /** A session of its own that has everything compiled. */
  open(options: Pick<ConnectOptions, 'mode'>): Promise<Session>;
  /** @param arm undefined where the session chooses */
  ask(session: Session, arm?: Arm): Promise<Answer>;
}

const MBIT = 1e6 / 8;
const LINK: LinkFaults = { ...HEALTHY, latencyMs: 10, bytesPerSecond: 20 * MBIT };
export const SLOW = 8;
/** No request takes longer: it counts as that. */
const LONGEST_MS = 10_000;
const PROFILE = 5;
const SIDE = 160;
/** The same ways for all: one preset, one quality of uploads, no exits. */
const SAME = { codec: 'isthmus', upload: { format: 'jpeg', quality: 0.85 }, exits: 'off' } as const;

export async function realLink(): Promise<RealLink> {
  process.env.ISTHMUS_CACHE = ''; // times that other sessions measured on this machine are not of this world
  // Small, as a camera's preview is: what is slowed down shall be the model, not the reading of a large file.
  const photo = await sharp(await readFile(join(packageRoot, 'public', 'samples', 'church.jpg')))
    .resize(SIDE, SIDE)
    .jpeg({ quality: 90 })
    .toBuffer();
  const models = join(packageRoot, 'models');
  const server = await createTailServer({ models, port: 0, logger: false, threads: 1 });
  const proxy = await tcpProxy(server.port);
  const device = { slow: 1 };
  const at = (port: number) => `http://127.0.0.1:${port}/models/neck10`;
  const rival = await connect(at(server.port), { ...SAME, mode: 'only-remote' });
  let rivals: Promise<unknown>[] = [];
  let busy = 0;

  async function open(options: Pick<ConnectOptions, 'mode'>): Promise<Session> {
    const before = device.slow;
    device.slow = 1;
    proxy.set({ ...HEALTHY });
    const session = await connect(at(proxy.port), {
      ...SAME,
      ...options,
      runtime: slowed(nodeRuntime(), device),
    });
    await session.run(photo, { mode: 'only-local', plan: 'fixed' });
    await session.run(photo, { mode: 'only-remote', plan: 'fixed' });
    device.slow = before;
    return session;
  }

  async function enter({ link, slow = SLOW, rivals: wanted = 0 }: Phase): Promise<void> {
    device.slow = slow;
    proxy.set({ ...LINK, ...link });
    if (busy === wanted) return;
    busy = 0;
    await Promise.all(rivals);
    busy = wanted;
    rivals = Array.from({ length: wanted }, async () => {
      while (busy === wanted) await rival.run(photo).catch(() => undefined);
    });
  }

  async function ask(session: Session, arm?: Arm): Promise<Answer> {
    const started = performance.now();
    const signal = AbortSignal.timeout(LONGEST_MS);
    try {
      const { report } = await session.run(photo, { ...(arm && optionsOf(arm)), signal });
      const way = report.ran === 'split' ? `${report.cut}/${report.preset}` : report.ran;
      return {
        ...{ ms: report.ms.total, bytes: report.bytes.up, way, report },
        instead: arm ? way !== arm.id : report.degraded !== undefined,
      };
    } catch (thrown) {
      // Anything else would be a mistake of this program, and no slow answer.
      if (!signal.aborted) throw thrown;
      const ms = performance.now() - started;
      return { ms, bytes: 0, way: arm?.id ?? 'none', instead: true, report: undefined };
    }
  }

  /** What Neurosurgeon and the bandit are given beforehand: the stage times of every way on a calm link, medians. */
  async function profile(): Promise<World> {
    await using session = await open({ mode: 'prefer-split' });
    await enter({ name: 'calm' });
    const arms: Arm[] = [];
    const candidates = candidatesOf(session.manifest, { preset: SAME.codec, upload: SAME.upload });
    for (const candidate of candidates) {
      const arm: Arm = { ...candidate, prepare: 0, head: 0, encode: 0, decode: 0, tail: 0 };
      const reports: Result['report'][] = [];
      for (let i = 0; i < PROFILE; i++) {
        const { report } = await ask(session, arm);
        if (report?.ran === arm.plan) reports.push(report);
      }
      const of = (value: (r: Result['report']) => number | undefined) =>
        reports.length > 0 ? median(reports.map((r) => value(r) ?? 0)) : 0;
      arms.push({
        ...arm,
        bytes: of((r) => r.bytes.up) || candidate.bytes,
        prepare: of((r) => r.ms.preprocess),
        head: of((r) => r.ms.head),
        encode: of((r) => r.ms.encode),
        decode: of((r) => r.ms.decode),
        tail: of((r) => r.ms.tail),
      });
    }
    return { name: 'real: neck10, Node heads', arms, work: workOf(session.manifest), device: 1 };
  }

  return {
    world: await profile(),
    enter,
    open,
    ask,
    async [Symbol.asyncDispose]() {
      await enter({ name: 'end' });
      await rival.close();
      await proxy[Symbol.asyncDispose]();
      await server.close({ graceMs: 500 });
    },
  };
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

/** As a page would ask for it: with everything here as the way out. */
function optionsOf({ plan, cut, preset }: Arm): RunOptions {
  const split = plan === 'split' ? { cut: cut!, codec: preset as NonNullable<RunOptions['codec']> } : {};
  return { mode: `prefer-${plan}`, plan: 'fixed', exits: 'off', ...split };
}
