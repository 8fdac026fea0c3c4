// The policies of `bench planner`: this repository's planner, and what it is measured against. Each picks an arm for a
// request and hears what came of it; none sees the trace, except the oracle.
import { seeded } from '../e2e/faults/link.ts';
import type { Observation } from '../src/planner/forecaster.ts';
import { createPlanner } from '../src/planner/planner.ts';
import { type Arm, type Conditions, costOf, type World } from './plannerWorld.ts';

export interface Chosen {
  arm: Arm;
  patienceMs?: number;
  /** Both begin at once; the other one's times are heard too. */
  race?: { lateMs: number };
  number?: number;
}

export interface Policy {
  name: string;
  /** @param now milliseconds of the trace. @param conditions for the oracle's eyes only */
  decide(now: number, conditions: Conditions): Chosen;
  observe(arm: Arm, seen: Observation, now: number): void;
  /** A crossing was given up after so many milliseconds. */
  failed(chosen: Chosen, now: number, waitedMs: number): void;
}

export function fixed(name: string, arm: Arm): Policy {
  return { name, decide: () => ({ arm }), observe: () => {}, failed: () => {} };
}

/** Knows every expected cost at every moment, but not the luck of a request. */
export function oracle(world: World): Policy {
  const best = (conditions: Conditions) =>
    world.arms.reduce((a, b) =>
      costOf(world, b, conditions).total < costOf(world, a, conditions).total ? b : a,
    );
  return { ...fixed('oracle', world.arms[0]!), decide: (_, conditions) => ({ arm: best(conditions) }) };
}

export function isthmus(world: World, seed: number): Policy {
  let clock = 0;
  const planner = createPlanner({
    candidates: world.arms,
    work: world.work,
    now: () => clock,
    random: seeded(seed),
  });
  return {
    name: 'isthmus',

    decide(now) {
      clock = now;
      const { candidate, patienceMs, race, number } = planner.decide();
      return {
        ...{ arm: candidate as Arm, number },
        ...(patienceMs !== undefined && { patienceMs }),
        ...(race && { race }),
      };
    },
    observe(arm, seen, now) {
      clock = now;
      planner.observe(arm, seen);
    },
    failed({ arm, number = 0 }, now, waitedMs) {
      clock = now;
      planner.failed({ candidate: arm, number }, waitedMs);
    },
  };
}

/**
 * Neurosurgeon (Kang et al., ASPLOS 2017): stage times from tables that were profiled beforehand, the bandwidth of the last
 * upload, and the server's load as its last answer told.
 */
export function neurosurgeon(world: World, rttMs = 20): Policy {
  let bandwidth = 20e6;
  let load = 1;
  const expected = (arm: Arm) => {
    const device = world.device * (arm.prepare + arm.head + arm.encode);
    if (arm.plan === 'local') return device;
    return device + rttMs + (8000 * arm.bytes) / bandwidth + load * (arm.decode + arm.tail);
  };
  return {
    name: 'neurosurgeon',
    decide: () => ({ arm: world.arms.reduce((a, b) => (expected(b) < expected(a) ? b : a)) }),
    observe(arm, { uplink, tail, queue = 0 }) {
      if (uplink === undefined) return;
      bandwidth = (8000 * arm.bytes) / Math.max(0.5, uplink - rttMs);
      if (tail !== undefined && arm.tail > 0) load = (tail + queue) / arm.tail;
    },
    failed({ arm }, _, waitedMs) {
      bandwidth = (8000 * arm.bytes) / waitedMs;
    },
  };
}

const EXPLORE = 30;
const RIDGE = 1;
const DISCOUNT = 0.97;
/** Forced looks at the link while everything runs here, one in so many requests. */
const FORCED = 25;

/**
 * μLinUCB (Autodidactic Neurosurgeon, Zhang et al., WWW 2021): the device's times are profiled beforehand, link and server are one
 * linear model of the arm's context, optimism picks, and samples are forced where staying here would teach nothing. With a
 * discount, without which it cannot follow a link that changes.
 */
export function linUcb(world: World): Policy {
  const context = (arm: Arm) => [
    1,
    arm.bytes / 1e4,
    (world.work.total * (1 - world.work.upTo((arm.cut ?? -1) as number))) / 1e3,
  ];
  const here = (arm: Arm) => world.device * (arm.prepare + arm.head + arm.encode);
  let matrix = identity(RIDGE);
  let vector = [0, 0, 0];
  let requests = 0;
  const learn = (arm: Arm, ms: number) => {
    const x = context(arm);
    matrix = matrix.map((row, i) =>
      row.map((a, j) => DISCOUNT * a + x[i]! * x[j]! + (i === j ? (1 - DISCOUNT) * RIDGE : 0)),
    );
    vector = vector.map((b, i) => DISCOUNT * b + x[i]! * ms);
  };
  return {
    name: 'μLinUCB',
    decide() {
      requests++;
      const inverse = invert(matrix);
      const theta = inverse.map((row) => row.reduce((sum, a, j) => sum + a * vector[j]!, 0));
      const score = (arm: Arm) => {
        if (arm.plan === 'local') return here(arm);
        const x = context(arm);
        const mean = x.reduce((sum, v, i) => sum + v * theta[i]!, 0);
        const spread = x.reduce(
          (sum, v, i) => sum + v * x.reduce((s, w, j) => s + inverse[i]![j]! * w, 0),
          0,
        );
        return here(arm) + mean - EXPLORE * Math.sqrt(Math.max(0, spread));
      };
      const open = requests % FORCED === 0 ? world.arms.filter((arm) => arm.plan !== 'local') : world.arms;
      return { arm: open.reduce((a, b) => (score(b) < score(a) ? b : a)) };
    },
    observe(arm, seen) {
      if (arm.plan !== 'local') learn(arm, seen.total - here(arm));
    },
    failed: ({ arm }, _, waitedMs) => learn(arm, waitedMs),
  };
}

const identity = (value: number) => [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? value : 0)));

/** Gauss and Jordan; the ridge keeps it invertible. */
function invert(matrix: readonly (readonly number[])[]): number[][] {
  const rows = matrix.map((row, i) => [...row, ...identity(1)[i]!]);
  for (let k = 0; k < 3; k++) {
    const pivot = rows[k]![k]!;
    rows[k] = rows[k]!.map((value) => value / pivot);
    for (let i = 0; i < 3; i++) {
      if (i === k) continue;
      const share = rows[i]![k]!;
      rows[i] = rows[i]!.map((value, j) => value - share * rows[k]![j]!);
    }
  }
  return rows.map((row) => row.slice(3));
}
