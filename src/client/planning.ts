// Planning: lets the planner decide what the options of a run leave open, and tells it what came of it. It knows sessions'
// choices and outcomes; expectations and decisions are src/planner's.
import { type PresetName, resolveCodec } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { MAIN_TASK, type Manifest, sha256Hex } from '../model/manifest.ts';
import { type Candidate, candidatesOf } from '../planner/candidates.ts';
import { createPlanner } from '../planner/planner.ts';
import type { Decision } from '../planner/plannerTypes.ts';
import type { StageBases } from '../planner/stageTimes.ts';
import { workOf } from '../planner/work.ts';
import type { Choice, Defaults } from './choose.ts';
import type { Loader } from './loader.ts';
import type { KeptThings } from './memory.ts';
import type { PlanReport } from './planTypes.ts';
import type { Report } from './resultTypes.ts';
import type { RunOptions } from './types.ts';

export interface PlanningParts {
  manifest: Manifest;
  defaults: Defaults;
  loader: Loader;
  upload: { format: 'jpeg' | 'webp'; quality: number };
  /** Adapter in words: what was measured on another one counts for nothing. */
  adapter: () => string;
  kept?: KeptThings | undefined;
}

/** What the session knows of an answer. */
interface Answered extends Pick<Report, 'ran' | 'cut' | 'preset' | 'bytes'> {
  ms: Omit<Report['ms'], 'total'>;
  /** Milliseconds after which the device answered in the place of a slow tail. */
  waitedMs?: number;
}

interface Planned {
  choice: Choice;
  answered(outcome: Answered, totalMs: number): void;
  failed(thrown: unknown, waitedMs: number): void;
}

export interface Planning {
  /** @returns undefined where nothing is to be chosen by measurement */
  decide(choice: Choice, options: RunOptions): Planned | undefined;
  readonly report: PlanReport | undefined;
}

/** Answers between two notes of what this device needs. */
const NOTE_EVERY = 16;

export function createPlanning({
  manifest,
  defaults,
  loader,
  upload,
  adapter,
  kept,
}: PlanningParts): Planning {
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
      choice: chosen(choice, decision),
      answered: (outcome, totalMs) => hear(decision, outcome, totalMs, loader.last !== before),
      failed(thrown, waitedMs) {
        // Whoever aborts says nothing about the tail.
        if (!(thrown instanceof IsthmusError) || thrown.code === 'CLOSED') return;
        if (thrown.code === 'DEADLINE_EXCEEDED') planner.failed(decision, waitedMs);
        else if (thrown.code === 'OFFLINE' || thrown.code === 'OVERLOADED') planner.failed(decision);
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
    return all.filter(({ plan }) =>
      any ? choice.plans.includes(plan) && !(atTail && plan === 'local') : plan === choice.plans[0],
    );
  }

  /** Fetches what would be faster, behind the session's back. */
  function prepare(wanted: Candidate | undefined): void {
    if (!wanted) return;
    const upTo = wanted.plan === 'local' ? manifest.segments.length - 1 : (wanted.cut ?? -1);
    loader.upTo(upTo).catch(() => undefined);
  }

  function hear(decision: Decision, outcome: Answered, total: number, loaded: boolean): void {
    const { ran, cut, preset } = outcome;
    last = { ran, ...(cut && { cut }), ...(preset && { preset }), why: decision.why };
    if (ran === 'exit') return;
    const { candidate } = decision;
    const late = ran === 'local' && candidate.plan !== 'local';
    if (late) planner.failed(decision, outcome.waitedMs);
    const id = ran === 'split' ? `${cut}/${preset}` : ran;
    const seen = id === candidate.id ? candidate : open.find((c) => c.id === id);
    if (!seen) return;
    const { bytes, ms } = outcome;
    // What was loaded or waited for in between is no time of this way.
    const other = late || loaded ? { other: 0 } : {};
    const own = late ? (ms.preprocess ?? 0) + (ms.head ?? 0) : total;
    planner.observe(seen, { ...ms, ...other, total: own, bytesUp: bytes.up, bytesDown: bytes.down });
    if (++answers % NOTE_EVERY === 0) note();
  }

  /** What earlier sessions measured on this adapter; until it is there, the planner starts without. */
  function recall(): void {
    if (!kept || key) return;
    const about = `${adapter()} ${manifest.id}`;
    key = sha256Hex(new TextEncoder().encode(about)).then((hash) => `times-${hash}`);
    key
      .then((name) => kept.get<StageBases>(name))
      .then((bases) => bases && planner.restore(bases))
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
        ...expected,
        ...(c.accuracy !== undefined && { accuracy: c.accuracy }),
      }));
      return { ...last, alternatives };
    },
  };
}

/** The decided plan first, then what else the mode allows: here before there, as what failed was most likely the link. */
function chosen(choice: Choice, { candidate, patienceMs }: Decision): Choice {
  const { plan, cut, preset } = candidate;
  const others = choice.plans.filter((other) => other !== plan);
  const local = others.filter((other) => other === 'local');
  return {
    ...choice,
    plans: [plan, ...local, ...others.filter((other) => other !== 'local')],
    ...(plan === 'split' && {
      cut,
      ...(preset !== choice.preset &&
        preset !== undefined && { preset, codec: resolveCodec(preset as PresetName) }),
    }),
    ...(patienceMs !== undefined && { patienceMs }),
  };
}
