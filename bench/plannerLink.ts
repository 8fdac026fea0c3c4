// The world of the real half of `bench planner`: the real client with heads in Node, the real tail, and a TCP proxy between them
// that is narrow, slow or silent as a phase says. The device is slowed down by waiting after what it computed.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { HEALTHY, type LinkFaults } from '../e2e/faults/link.ts';
import { tcpProxy } from '../e2e/faults/tcpProxy.ts';
import type { Result } from '../src/client/resultTypes.ts';
import type { ConnectOptions, RunOptions, Session } from '../src/client/types.ts';
import { nodeRuntime } from '../src/head/node/nodeRuntime.ts';
import type { HeadRuntime, StageTimes } from '../src/head/runtime.ts';
import { connect } from '../src/index.node.ts';
import { type Candidate, candidatesOf } from '../src/planner/candidates.ts';
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
  /** How many times as long as this machine the device takes. */
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
const LINK: LinkFaults = { ...HEALTHY, latencyMs: 5, bytesPerSecond: 20 * MBIT };
export const SLOW = 24;
/** No request takes longer: it counts as that. */
const LONGEST_MS = 10_000;
const PROFILE = 5;
/** Runs of each way before anything counts, and of those the ones whose median is what it usually needs. */
const WARM = 40;
const USUAL = 15;
const SIDE = 128;
/** The same ways for all: one preset, one quality of uploads, no exits. */
const SAME = { codec: 'isthmus', upload: { format: 'jpeg', quality: 0.85 }, exits: 'off' } as const;

interface Device {
  /** How many times as long as this machine it takes now. */
  slow: () => number;
  /** By way and stage: milliseconds on this machine. */
  usual: Map<string, number[]>;
}

export async function realLink(): Promise<RealLink> {
  process.env.ISTHMUS_CACHE = ''; // times that other sessions measured on this machine are not of this world
  // Pixels, as a camera's preview has them: what is slowed down shall be the model, not the reading of a file.
  const { data, info } = await sharp(await readFile(join(packageRoot, 'public', 'samples', 'church.jpg')))
    .resize(SIDE, SIDE)
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const photo = { data: new Uint8ClampedArray(data), width: info.width, height: info.height };
  const models = join(packageRoot, 'models');
  const server = await createTailServer({ models, port: 0, logger: false, threads: 1 });
  const proxy = await tcpProxy(server.port);
  let slow = 1;
  const usual = new Map<string, number[]>();
  const at = (port: number) => `http://127.0.0.1:${port}/models/neck10`;
  const rival = await connect(at(server.port), { ...SAME, mode: 'only-remote' });
  let rivals: Promise<unknown>[] = [];
  let busy = 0;

  async function open(options: Pick<ConnectOptions, 'mode'>): Promise<Session> {
    const before = slow;
    slow = 1;
    proxy.set({ ...HEALTHY });
    const session = await connect(at(proxy.port), {
      ...SAME,
      ...options,
      runtime: slowed(nodeRuntime(), { slow: () => slow, usual }),
    });
    const ways = candidatesOf(session.manifest, { preset: SAME.codec, upload: SAME.upload });
    for (let i = 0; i < WARM; i++) for (const way of ways) await session.run(photo, optionsOf(way));
    slow = before;
    return session;
  }

  async function enter({ link, slow: times = SLOW, rivals: wanted = 0 }: Phase): Promise<void> {
    slow = times;
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
        ...{
          ms: report.ms.total,
          bytes: report.bytes.up,
          way,
          report,
        },
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
    return { name: 'real: neck10, Node heads', arms, work: workOf(session.manifest), device: 1, noise: 0 };
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

/**
 * A device that needs so many times as long for pictures and segments. It does them once, and then waits as often as that usually
 * takes, the same for all sessions: repeating them would take the cores from the tail, which runs on a machine of its own
 * elsewhere. One thing after the other, as on one device.
 */
function slowed(runtime: HeadRuntime, { slow, usual }: Device): HeadRuntime {
  let busy: Promise<unknown> = Promise.resolve();
  async function longer<T extends { timings: StageTimes }>(what: string, work: () => Promise<T>): Promise<T> {
    const before = busy;
    let free = () => {};
    busy = new Promise<void>((resolve) => {
      free = resolve;
    });
    await before;
    try {
      const result = await work();
      const timings: StageTimes = { ...result.timings };
      for (const [stage, ms] of Object.entries(timings) as [keyof StageTimes, number][]) {
        const known = usual.get(what + stage) ?? [];
        if (known.length < WARM) usual.set(what + stage, [...known, ms]);
        const more = (slow() - 1) * median(known.length > 0 ? known.slice(-USUAL) : [ms]);
        if (more > 0) await sleep(more);
        timings[stage] = ms + more;
      }
      return { ...result, timings };
    } finally {
      free();
    }
  }
  return {
    ...runtime,
    head: (input, cut, ...more) => longer(`head ${cut} `, () => runtime.head(input, cut, ...more)),
    local: (...args) => longer('local ', () => runtime.local(...args)),
    remote: (...args) => longer('remote ', () => runtime.remote(...args)),
  };
}

/** As a page would ask for it: with everything here as the way out. */
function optionsOf({ plan, cut, preset }: Candidate): RunOptions {
  const split = plan === 'split' ? { cut: cut!, codec: preset as NonNullable<RunOptions['codec']> } : {};
  return { mode: `prefer-${plan}`, plan: 'fixed', exits: 'off', ...split };
}
