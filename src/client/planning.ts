// Planning: lets the planner decide what the options of a run leave open, and tells it what came of it. It knows sessions'
// choices and outcomes; expectations and decisions are src/planner's.
import { IsthmusError } from '../errors.ts';
import { MAIN_TASK, type Manifest, sha256Hex } from '../model/manifest.ts';
import { type Candidate, candidatesOf } from '../planner/candidates.ts';
import { createPlanner } from '../planner/planner.ts';
import type { Decision } from '../planner/plannerTypes.ts';
import { workOf } from '../planner/work.ts';
import type { Choice, Defaults } from './choose.ts';
import type { Loader } from './loader.ts';
import type { KeptThings } from './memory.ts';
import { MISTAKES } from './plan.ts';
import { chosen, withExits } from './planChoice.ts';
import type { PlanReport } from './planTypes.ts';
import type { Report } from './resultTypes.ts';
import type { RunOptions } from './types.ts';

export interface PlanningParts {
  manifest: Manifest;
  defaults: Defaults;
  loader: Loader;
  upload: { format: 'jpeg' | 'webp'; quality: number };
  /** Indices of the exits that such a run would ask. */
  exitsOf?: (choice: Choice, exits: RunOptions['exits']) => readonly number[];
  /** Adapter in words: what was measured on another one counts for nothing. */
  adapter: () => string;
  kept?: KeptThings | undefined;
}

/** What the session knows of an answer. */
interface Answered extends Pick<Report, 'ran' | 'cut' | 'preset' | 'exit' | 'bytes'> {
  ms: Omit<Report['ms'], 'total'>;
  /** Milliseconds after which the device answered in the place of a slow tail. */
  waitedMs?: number;
}

interface Planned {
  choice: Choice;
  /** @param degraded as in the report: why another way than the decided one answered */
  answered(outcome: Answered, totalMs: number, degraded?: string): void;
  failed(thrown: unknown, waitedMs: number): void;
}

export interface Planning {
  /** @returns undefined where nothing is to be chosen by measurement */
  decide(choice: Choice, options: RunOptions): Planned | undefined;
  readonly report: PlanReport | undefined;
}

/** What was decided, and what came in between. */
interface Context {
  decision: Decision;
  left: readonly Candidate[];
  /** Whether segments were fetched meanwhile. */
  loaded: boolean;
  /** Code of what failed, where something did. */
  failure: string | undefined;
}

/** The tail cannot be reached or has no room: nothing is wrong with what was sent, or with this device. */
const AWAY: ReadonlySet<string> = new Set(['OFFLINE', 'OVERLOADED', 'DEADLINE_EXCEEDED', 'RATE_LIMITED']);
const codeOf = (degraded: string | undefined) => degraded?.split(':', 1)[0];

/** Answers between two notes of what this device needs. */
const NOTE_EVERY = 16;

export function createPlanning({
  manifest,
  defaults,
  loader,
  upload: session,
  exitsOf = () => [],
  adapter,
  kept,
}: PlanningParts): Planning {
  const upload = { format: session.format, quality: defaults.upload?.quality };
  const planner = createPlanner({
    candidates: candidatesOf(manifest, { upload, ...defaults.limits }),
    work: workOf(manifest),
    now: () => performance.now(),
    random: Math.random,
  });
  let last: Omit<PlanReport, 'alternatives'> | undefined;
  let open: readonly Candidate[] = [];
  let answers = 0;
  let key: Promise<string> | undefined;
  let device: string | undefined;

  function decide(choice: Choice, options: RunOptions): Planned | undefined {
    const mode = options.mode ?? defaults.mode;
    const measured = options.plan ?? defaults.plan ?? (mode === 'auto' ? 'measured' : 'fixed');
    if (measured === 'fixed') return undefined;
    const left = leftOpen(choice, options, mode === 'auto');
    if (left.length < (mode === 'auto' ? 1 : 2)) return undefined;
    recall();
    const limits = { ...defaults.limits, ...options.limits };
    const { deadlineMs = limits.deadlineMs } = options;
    const decision = planner.decide({
      limits: { ...limits, ...(deadlineMs !== undefined && { deadlineMs }) },
      candidates: left,
      ready: ({ plan, cut }) =>
        loader.last >= (plan === 'local' ? manifest.segments.length - 1 : plan === 'remote' ? -2 : cut!),
    });
    open = left;
    prepare(decision.wanted);
    const before = loader.last;
    return {
      choice: chosen(choice, decision, session),
      answered: (outcome, totalMs, degraded) =>
        hear({ decision, left, loaded: loader.last !== before, failure: codeOf(degraded) }, outcome, totalMs),
      failed(thrown, waitedMs) {
        // Whoever aborts says nothing about the tail.
        if (!(thrown instanceof IsthmusError) || thrown.code === 'CLOSED') return;
        if (thrown.code === 'DEADLINE_EXCEEDED')
          planner.failed(decision, Math.max(0, waitedMs - decision.deviceMs));
        else if (AWAY.has(thrown.code)) planner.failed(decision);
        else if (!MISTAKES.has(thrown.code)) planner.broken(decision.candidate);
      },
    };
  }

  /** Candidates that mode, tasks and names of the caller allow. */
  function leftOpen(choice: Choice, options: RunOptions, any: boolean): Candidate[] {
    const named = options.codec ?? defaults.codec;
    const hanging = (manifest.tasks ?? []).filter(({ name }) => choice.tasks?.includes(name));
    const namedCut = options.cut ?? defaults.cut;
    const all = candidatesOf(manifest, {
      upload,
      cut: namedCut === undefined ? undefined : choice.cut,
      preset: named === undefined ? undefined : choice.preset,
      ...(hanging.length > 0 && { latest: Math.min(...hanging.map((task) => task.cut)) }),
      ...defaults.limits,
      ...options.limits,
    });
    const atTail = choice.keep || choice.tasks?.some((name) => name !== MAIN_TASK);
    return all
      .filter(({ plan }) =>
        any ? choice.plans.includes(plan) && !(atTail && plan === 'local') : plan === choice.plans[0],
      )
      .map((candidate) => {
        if (candidate.plan !== 'split' || !manifest.exits) return candidate;
        const own = chosen(choice, { candidate }, session);
        return withExits(candidate, manifest, exitsOf(own, options.exits ?? defaults.exits));
      });
  }

  /** Fetches what would be faster, behind the session's back. */
  function prepare(wanted: Candidate | undefined): void {
    if (!wanted) return;
    const upTo = wanted.plan === 'local' ? manifest.segments.length - 1 : (wanted.cut ?? -1);
    loader.upTo(upTo).catch(() => undefined);
  }

  function hear({ decision, left, loaded, failure }: Context, outcome: Answered, total: number): void {
    const { ran, cut, preset, exit } = outcome;
    const { candidate } = decision;
    const unknown = candidate.accuracy === undefined;
    const why = unknown ? decision.why.replace(/\.$/, '; its accuracy is not calibrated.') : decision.why;
    last = { ran, ...(cut && { cut }), ...(preset && { preset }), why };
    const late = ran === 'local' && candidate.plan !== 'local';
    if (failure !== undefined && outcome.waitedMs === undefined && !AWAY.has(failure))
      planner.broken(candidate);
    // Without a failure the choice was changed on purpose (caution.ts).
    else if (late && failure !== undefined) planner.failed(decision, outcome.waitedMs);
    const same = (c: Candidate) =>
      c.plan === (ran === 'exit' ? 'split' : ran) &&
      (ran !== 'split' || (c.cutName === cut && c.preset === preset));
    const seen = same(candidate) ? candidate : ran === 'exit' ? undefined : left.find(same);
    // What crossed after another way had failed carries the bytes and the wait of both.
    if (!seen || (failure !== undefined && seen.plan !== 'local')) return;
    const { bytes, ms } = outcome;
    // What was loaded or waited for in between is no time of this way.
    const other = late || loaded ? { other: 0 } : {};
    const own = late ? (ms.preprocess ?? 0) + (ms.head ?? 0) : total;
    const what = { ...ms, ...other, ...(exit && { exit: exit.name }) };
    planner.observe(seen, { ...what, total: own, bytesUp: bytes.up, bytesDown: bytes.down });
    if (++answers % NOTE_EVERY === 0) note();
  }

  /** What earlier sessions measured on this adapter; until it is there, the planner starts without. */
  function recall(): void {
    const about = `${adapter()} ${manifest.id}`;
    if (about === device) return;
    if (device !== undefined) planner.newDevice();
    device = about;
    if (!kept) return;
    const own = sha256Hex(new TextEncoder().encode(about)).then((hash) => `times-${hash}`);
    key = own;
    own
      .then((name) => kept.get<unknown>(name))
      .then((bases) => own === key && planner.restore(bases))
      .catch(() => undefined);
  }

  function note(): void {
    key?.then((name) => kept?.set(name, planner.bases())).catch(() => undefined);
  }

  return {
    decide,
    get report() {
      if (!last) return undefined;
      const alternatives = planner.alternatives(open).map(({ candidate: c, ...expected }) => ({
        plan: c.plan,
        ...(c.cutName !== undefined && { cut: c.cutName }),
        ...(c.preset !== undefined && { preset: c.preset }),
        ...(c.quality !== undefined && { quality: c.quality }),
        ...expected,
        ...(c.accuracy !== undefined && { accuracy: c.accuracy }),
      }));
      return { ...last, alternatives };
    },
  };
}
