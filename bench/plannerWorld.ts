// The world of `bench planner`: what every way of computing truly costs at a moment of a trace. Stage times and bytes as
// `bench e2e` measured them; links, load and heat as each trace says. Seeded, so that every policy meets the same luck.
import { seeded } from '../e2e/faults/link.ts';
import type { Candidate } from '../src/planner/candidates.ts';
import type { Observation } from '../src/planner/forecaster.ts';
import { type Work, workOf } from '../src/planner/work.ts';

/** One way of computing: milliseconds on an unhurried device and server. */
export interface Arm extends Candidate {
  prepare: number;
  head: number;
  encode: number;
  decode: number;
  tail: number;
}

export interface World {
  name: string;
  arms: readonly Arm[];
  work: Work;
  /** How many times slower the device is than the one that was measured. */
  device: number;
  /** How far times of device and server are from their mean, in logarithms. */
  noise: number;
}

/** What surrounds a request that starts at a moment. */
export interface Conditions {
  /** Bits a second, each way. */
  bandwidth: number;
  rttMs: number;
  /** Mean of what is added at random, exponentially. */
  jitterMs: number;
  /** Milliseconds until the link comes back; 0 where it is there. */
  outageMs: number;
  /** Factor of server times, and its queue. */
  serverLoad: number;
  queueMs: number;
  /** Factor of device times. */
  heat: number;
}

const REPLY = 4200;

function world(
  name: string,
  device: number,
  macs: readonly number[],
  rows: readonly (readonly [string, number, number, number, number, number, number])[],
  noise = 0.05,
  first = 0,
): World {
  const arms = rows.map(([id, bytes, prepare, head, encode, decode, tail], i): Arm => {
    const plan = id === 'local' || id === 'remote' ? id : 'split';
    const where = plan === 'split' ? { cut: i - 1 + first, cutName: id, preset: 'isthmus' } : {};
    return { id, plan, ...where, bytes, prepare, head, encode, decode, tail };
  });
  const segment = (m: number) => ({ macs: m * 1e6, bytes: 1 });
  return {
    name,
    arms,
    ...{ device, noise },
    work: workOf({ segments: macs.map(segment) } as Parameters<typeof workOf>[0]),
  };
}

/** mobilenetv2 on wasm (bench/results/e2e-wasm.json), on a device two and a half times as slow: a phone. */
export const MOBILENET = world(
  'mobilenetv2',
  2.5,
  [97, 28, 85, 37, 53],
  [
    ['local', 0, 7.4, 37, 0, 0, 0],
    ['conv13', 8287, 7.4, 12, 0.5, 0.6, 5.5],
    ['conv24', 4070, 7.5, 15.5, 0.3, 0.4, 4.6],
    ['conv50', 2781, 7, 26.6, 0.3, 0.3, 2.1],
    ['add58', 2517, 7.3, 30.5, 0.3, 0.3, 1.4],
    ['remote', 11797, 6.9, 0, 2, 7.1, 8.5],
  ],
);

/** A detector on pictures of 640 × 480, as one might have it: constructed, so that every way is the best one somewhere. */
export const DETECTOR = world(
  'detector',
  1,
  [200, 280, 450, 1200],
  [
    ['local', 0, 6, 160, 0, 0, 0],
    ['early', 30000, 6, 15, 1, 1, 27],
    ['middle', 12000, 6, 35, 1, 0.8, 22],
    ['late', 5000, 6, 70, 0.7, 0.5, 14],
    ['remote', 60000, 4, 0, 5, 6, 30],
  ],
);

/** neck10 as over the real link (plannerLink.ts): a slow device that does other things as well. */
export const BUSY = world(
  'neck10, busy device',
  24,
  [10, 19, 40, 23, 8],
  [
    ['local', 0, 0.45, 2.6, 0, 0, 0],
    ['neck0', 628, 0.45, 0.85, 0.38, 0.7, 2.2],
    ['neck1', 244, 0.45, 1.6, 0.22, 0.4, 1.3],
    ['neck2', 172, 0.45, 2.4, 0.15, 0.3, 0.6],
    ['remote', 2828, 0.45, 0, 1.7, 3.5, 3],
  ],
  0.2,
  1,
);

/** What one request would cost each way; the same chances for all of them. */
export class Luck {
  readonly device: number;
  readonly server: number;
  readonly jitter: number;

  constructor(random: () => number, noise: number) {
    const spread = () => Math.exp(noise * normal(random));
    this.device = spread();
    this.server = spread();
    this.jitter = -Math.log(1 - random());
  }
}

/** @param luck absent for what is to be expected */
export function costOf(world: World, arm: Arm, c: Conditions, luck?: Luck): Observation {
  const device = world.device * c.heat * (luck?.device ?? 1);
  const here = { preprocess: arm.prepare * device, ...(arm.head > 0 && { head: arm.head * device }) };
  if (arm.plan === 'local')
    return { ...here, total: (arm.prepare + arm.head) * device, bytesUp: 0, bytesDown: 0 };
  const server = c.serverLoad * (luck?.server ?? 1);
  const uplink = c.outageMs + c.rttMs + c.jitterMs * (luck?.jitter ?? 1) + (8000 * arm.bytes) / c.bandwidth;
  const stages = {
    ...here,
    encode: arm.encode * device,
    uplink,
    decode: arm.decode * server,
    queue: c.queueMs,
    tail: arm.tail * server,
    downlink: (8000 * REPLY) / c.bandwidth,
  };
  const total = Object.values(stages).reduce<number>((sum, ms) => sum + (ms as number), 0);
  return { ...stages, total, bytesUp: arm.bytes, bytesDown: REPLY };
}

export interface Trace {
  name: string;
  seconds: number;
  /** Seconds at which something jumps, for counting requests until the plan has followed. */
  steps: readonly number[];
  at(seconds: number): Conditions;
}

const CALM: Conditions = {
  bandwidth: 20e6,
  rttMs: 20,
  jitterMs: 1,
  outageMs: 0,
  serverLoad: 1,
  queueMs: 0,
  heat: 1,
};
const during = (t: number) => t >= 20 && t < 40;
const jumps = (name: string, changed: Partial<Conditions>): Trace => ({
  ...{ name, seconds: 60, steps: [20, 40] },
  at: (t) => (during(t) ? { ...CALM, ...changed } : CALM),
});

/** Bandwidth as a walk between 1 and 30 Mbit/s with a step every 100 ms, as over LTE on the move. */
function lte(seed: number): Trace {
  const random = seeded(seed);
  let level = Math.log(8);
  const walk = Array.from({ length: 601 }, () => {
    level += 0.18 * normal(random) + 0.02 * (Math.log(8) - level);
    level = Math.min(Math.log(30), Math.max(0, level));
    return Math.exp(level) * 1e6;
  });
  const at = (t: number) => ({
    ...CALM,
    rttMs: 45,
    jitterMs: 5,
    bandwidth: walk[Math.floor(t * 10)] ?? walk.at(-1)!,
  });
  return { name: 'lte', seconds: 60, steps: [], at };
}

export function traces(seed: number): Trace[] {
  return [
    jumps('step 20→2→20 Mbit/s', { bandwidth: 2e6 }),
    lte(seed),
    {
      ...{ name: 'outage 5 s', seconds: 60, steps: [30] },
      at: (t) => ({ ...CALM, outageMs: t >= 30 && t < 35 ? (35 - t) * 1000 : 0 }),
    },
    { name: 'jitter', seconds: 60, steps: [], at: () => ({ ...CALM, rttMs: 30, jitterMs: 15 }) },
    jumps('server load ×6', { serverLoad: 6, queueMs: 40 }),
    jumps('device ×2.5 slower', { heat: 2.5 }),
  ];
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
