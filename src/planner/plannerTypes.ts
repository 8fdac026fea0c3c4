// What a planner is asked, what it answers and what it is told. No behaviour here (planner.ts).
import type { Candidate } from './candidates.ts';
import type { Observation } from './forecaster.ts';
import type { Limits } from './limits.ts';
import type { StageBases } from './stageTimes.ts';
import type { Work } from './work.ts';

export interface PlannerOptions {
  candidates: readonly Candidate[];
  work: Work;
  /** Milliseconds of a clock that never goes back. */
  now: () => number;
  /** 0…1. */
  random: () => number;
  limits?: Limits;
}

export interface Question {
  limits?: Limits;
  /** What the options of this run leave; all by default. */
  candidates?: readonly Candidate[];
  /** Which have their segments here; all by default. The others are only told of in {@link Decision.wanted}. */
  ready?: (candidate: Candidate) => boolean;
}

export interface Decision {
  candidate: Candidate;
  predictedMs: number;
  /** Of these here, before anything is sent. */
  deviceMs: number;
  /**
   * Milliseconds after sending when running everything here is the better bet; only where that is possible. Whoever gives up then
   * tells {@link Planner.failed}.
   */
  patienceMs?: number;
  /**
   * Both are to begin at once, the crossing and everything here, and the first answer counts: what only has a look keeps nobody
   * waiting. The other one's times are worth hearing as well; so long after sending a crossing may take, in milliseconds.
   */
  race?: { lateMs: number };
  kind: 'only' | 'stay' | 'switch' | 'probe' | 'return';
  /** Counts the decisions of a planner. */
  number: number;
  /** One sentence. */
  why: string;
  /** Would be clearly faster, but its segments are not here yet. */
  wanted?: Candidate;
}

interface Alternative {
  candidate: Candidate;
  predictedMs: number;
  observedMs?: number;
  bytes: number;
}

export interface Planner {
  /** @throws RangeError when there are no candidates */
  decide(question?: Question): Decision;
  /** What a run of this candidate took. */
  observe(candidate: Candidate, seen: Observation): void;
  /** What such a run took here before it was sent, where it had no answer. */
  prepared(candidate: Candidate, ms: Pick<Observation, 'preprocess' | 'head' | 'encode'>): void;
  /** A crossing that failed; with the milliseconds waited where it was only given up. */
  failed(decision: Pick<Decision, 'candidate' | 'number'>, waitedMs?: number): void;
  /** Every candidate with what is expected of it now, the fastest first. */
  alternatives(of?: readonly Candidate[]): Alternative[];
  /** What this device needs, to be kept for the next session on it. */
  bases(): StageBases;
  /** @param bases from storage, so anything */
  restore(bases: unknown): void;
  /** A run of this candidate failed on this device: others go first for a while, longer each time. */
  broken(candidate: Candidate): void;
  /** Another device computes from now on. */
  newDevice(): void;
}
