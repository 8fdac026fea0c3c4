// Planning: lets the planner decide what the options of a run leave open, and tells it what came of it. It knows sessions'
// choices and outcomes; expectations and decisions are src/planner's.
import { IsthmusError } from '../errors.ts';
import type { HeadRuntime, StageTimes } from '../head/runtime.ts';
import { MAIN_TASK, type Manifest, sha256Hex } from '../model/manifest.ts';
import { ACCURACY_LOSS, type Candidate, candidatesOf } from '../planner/candidates.ts';
import { createPlanner } from '../planner/planner.ts';
import type { Decision } from '../planner/plannerTypes.ts';
import { formatIsOpen } from '../planner/uploads.ts';
import { workOf } from '../planner/work.ts';
import type { Choice, Defaults } from './choose.ts';
import type { Loader } from './loader.ts';
import type { KeptThings } from './memory.ts';
import { MISTAKES } from './plan.ts';
import { chosen, meant, uploadOf, withExits } from './planChoice.ts';
import type { PlanReport } from './planTypes.ts';
import type { Report } from './resultTypes.ts';
import type { RunOptions } from './types.ts';
import { createWritable } from './writable.ts';

export interface PlanningParts {
  manifest: Manifest;
  defaults: Defaults;
  loader: Loader;
  /** What this device can write pictures as; asked only where the caller leaves it open. */
  formats?: HeadRuntime['formats'];
  /** Indices of the exits that such a run would ask. */
  exitsOf?: (choice: Choice, exits: RunOptions['exits']) => readonly number[];
  /** The last segment that this device may hold just now (caution.ts); all where it is absent. */
  lastAllowed?: (run: RunOptions) => number;
  /** Adapter in words: what was measured on another one counts for nothing. */
  adapter: () => string;
  kept?: KeptThings | undefined;
}

/** What the session knows of an answer. */
interface Answered extends Pick<Report, 'ran' | 'cut' | 'preset' | 'upload' | 'exit' | 'bytes'> {
  ms: Omit<Report['ms'], 'total'>;
  /** Milliseconds after which the device answered in the place of a slow tail. */
  waitedMs?: number;
}

interface Planned {
  choice: Choice;
  /**
   * @param degraded as in the report: why another way than the decided one answered
   * @param careful why a smaller way than the decided one was tried, where one was (caution.ts)
   */
  answered(outcome: Answered, totalMs: number, degraded?: string, careful?: string): void;
  failed(thrown: unknown, waitedMs: number): void;
  /** What the device needed until a frame was ready; it counts where no answer tells of it. */
  prepared(ms: StageTimes): void;
  /** What came second of two ways that were begun at once. */
  late(second: Answered | { by: 'nobody'; error: IsthmusError | undefined; afterMs: number }): void;
}

export interface Planning {
  /** @returns undefined where nothing is to be chosen by measurement */
  decide(choice: Choice, options: RunOptions): Planned | undefined;
  /** Keeps what this device needed for the next session, where there is something new. */
  note(): Promise<void>;
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
  careful: string | undefined;
  /** Whether the device still computed for the run before. */
  beside: boolean;
}

/** The tail cannot be reached or has no room: nothing is wrong with what was sent, or with this device. */
const AWAY: ReadonlySet<string> = new Set(['OFFLINE', 'OVERLOADED', 'DEADLINE_EXCEEDED', 'RATE_LIMITED']);
const sumOf = (ms: Answered['ms']) => Object.values(ms).reduce<number>((sum, stage) => sum + (stage ?? 0), 0);
const codeOf = (degraded: string | undefined) => degraded?.split(':', 1)[0];

/** Answers between two notes of what this device needs. */
const NOTE_EVERY = 16;

export function createPlanning({
  manifest,
  defaults,
  loader,
  formats,
  exitsOf = () => [],
  lastAllowed = () => Number.POSITIVE_INFINITY,
  adapter,
  kept,
}: PlanningParts): Planning {
  const upload = { format: defaults.upload?.format, quality: defaults.upload?.quality };
  const writable = createWritable(formatIsOpen(manifest, upload) ? formats : undefined);
  const planner = createPlanner({
    candidates: candidatesOf(manifest, { upload, ...defaults.limits }),
    work: workOf(manifest),
    now: () => performance.now(),
    random: Math.random,
  });
  let last: Omit<PlanReport, 'alternatives'> | undefined;
  let open: readonly Candidate[] = [];
  let unnoted = 0;
  let key: Promise<string> | undefined;
  let device: string | undefined;
  /** The run whose second way is still being computed here. */
  let racing: Decision | undefined;

  function decide(choice: Choice, options: RunOptions): Planned | undefined {
    const mode = options.mode ?? defaults.mode;
    const measured = options.plan ?? defaults.plan ?? (mode === 'auto' ? 'measured' : 'fixed');
    if (measured === 'fixed') return undefined;
    const left = leftOpen(choice, options, mode === 'auto');
    if (left.length < (mode === 'auto' ? 1 : 2)) return undefined;
    recall();
    // What the caller names is wanted, whatever it costs in accuracy.
    const named = options.codec ?? defaults.codec ?? upload.quality;
    const usual = named === undefined ? { maxAccuracyLoss: ACCURACY_LOSS } : {};
    const limits = { ...usual, ...defaults.limits, ...options.limits };
    const { deadlineMs = limits.deadlineMs } = options;
    const decision = planner.decide({
      limits: { ...limits, ...(deadlineMs !== undefined && { deadlineMs }) },
      candidates: left,
      ready: ({ plan, cut }) =>
        loader.last >= (plan === 'local' ? manifest.segments.length - 1 : plan === 'remote' ? -2 : cut!),
    });
    open = left;
    prepare(decision.wanted, lastAllowed(options));
    const before = loader.last;
    const picture = left.find(({ plan }) => plan === 'remote');
    /** Milliseconds until the frame was ready to be sent. */
    let ready: number | undefined;
    let spent: StageTimes | undefined;
    let missed = false;
    const beside = racing !== undefined;
    return {
      choice: chosen(choice, decision, picture && uploadOf(picture)),
      answered: (outcome, totalMs, degraded, careful) => {
        const failure = codeOf(degraded);
        const loaded = loader.last !== before;
        hear({ decision, left, loaded, failure, careful, beside }, outcome, totalMs);
        racing = decision.race && outcome.ran !== 'local' ? decision : undefined;
      },
      late(second) {
        if (racing === decision) racing = undefined;
        if (!('by' in second)) learn(decision, left, second);
        else if (!second.error) planner.failed(decision, second.afterMs);
        else if (AWAY.has(second.error.code)) planner.failed(decision);
      },
      prepared(ms) {
        ready = sumOf(ms);
        if (missed) planner.prepared(decision.candidate, ms);
        else spent = ms;
      },
      failed(thrown, waitedMs) {
        if (spent) planner.prepared(decision.candidate, spent);
        // Whoever aborts says nothing about the tail.
        if (!(thrown instanceof IsthmusError) || thrown.code === 'CLOSED') return;
        if (thrown.code === 'DEADLINE_EXCEEDED') {
          missed = true;
          // What never got to be sent says nothing about the link.
          if (ready !== undefined) planner.failed(decision, Math.max(0, waitedMs - ready));
        } else if (AWAY.has(thrown.code)) planner.failed(decision);
        else if (!MISTAKES.has(thrown.code)) planner.broken(decision.candidate);
      },
    };
  }

  /** Candidates that mode, tasks and names of the caller allow. */
  function leftOpen(choice: Choice, options: RunOptions, any: boolean): Candidate[] {
    const named = options.codec ?? defaults.codec;
    const hanging = (manifest.tasks ?? []).filter(({ name }) => choice.tasks?.includes(name));
    const namedCut = options.cut ?? defaults.cut;
    const mayUpload = any ? choice.plans.includes('remote') : choice.plans[0] === 'remote';
    const all = candidatesOf(manifest, {
      upload: mayUpload ? { ...upload, writable: writable() } : upload,
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
        const own = chosen(choice, { candidate });
        return withExits(candidate, manifest, exitsOf(own, options.exits ?? defaults.exits));
      });
  }

  /** Fetches what would be faster, behind the session's back, as far as that is allowed. */
  function prepare(wanted: Candidate | undefined, allowed: number): void {
    if (!wanted) return;
    const upTo = wanted.plan === 'local' ? manifest.segments.length - 1 : (wanted.cut ?? -1);
    loader.upTo(Math.min(upTo, allowed), 'quietly').catch(() => undefined);
  }

  function hear(
    { decision, left, loaded, failure, careful, beside }: Context,
    outcome: Answered,
    total: number,
  ): void {
    const { ran, cut, upload: sent, exit } = outcome;
    const preset = outcome.preset ?? sent?.format;
    const { candidate } = decision;
    const remark = careful
      ? `; something smaller was run, as ${careful}`
      : candidate.accuracy === undefined
        ? '; its accuracy is not calibrated'
        : '';
    const why = decision.why.replace(/\.$/, `${remark}.`);
    last = {
      ran,
      ...(cut && { cut }),
      ...(preset && { preset }),
      ...(sent && { quality: sent.quality }),
      why,
    };
    const late = ran === 'local' && candidate.plan !== 'local';
    if (failure !== undefined && outcome.waitedMs === undefined && !AWAY.has(failure))
      planner.broken(candidate);
    // Without a failure the choice was changed on purpose (caution.ts).
    else if (late && failure !== undefined) planner.failed(decision, outcome.waitedMs);
    const seen = meant(outcome, candidate, left);
    // What crossed after another way had failed carries the bytes and the wait of both.
    if (!seen || (failure !== undefined && seen.plan !== 'local')) return;
    const { bytes, ms } = outcome;
    // What was loaded or waited for in between is no time of this way.
    const other = late || loaded || beside ? { other: 0 } : {};
    const shared = beside ? { preprocess: undefined, head: undefined, encode: undefined } : {};
    const own = late ? (ms.preprocess ?? 0) + (ms.head ?? 0) : total;
    const what = { ...ms, ...other, ...shared, ...(exit && { exit: exit.name }) };
    planner.observe(seen, { ...what, total: own, bytesUp: bytes.up, bytesDown: bytes.down });
    if (++unnoted >= NOTE_EVERY) void note();
  }

  /** What came second: its stages count, and nothing that it waited for. */
  function learn({ candidate }: Decision, left: readonly Candidate[], outcome: Answered): void {
    const seen = meant(outcome, candidate, left);
    if (!seen) return;
    const { ms, bytes, exit } = outcome;
    const total = sumOf(ms);
    const what = { ...ms, other: 0, ...(exit && { exit: exit.name }) };
    planner.observe(seen, { ...what, total, bytesUp: bytes.up, bytesDown: bytes.down });
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

  /** Never rejects: what cannot be kept is measured again. */
  async function note(): Promise<void> {
    if (!key || unnoted === 0) return;
    unnoted = 0;
    const bases = planner.bases();
    await key.then((name) => kept?.set(name, bases)).catch(() => undefined);
  }

  return {
    decide,
    note,
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
