// Session: one model at one tail, ready to answer. Chooses the plan of each run, drives runtime and transport, and
// writes the report. It starts nothing (connect.ts does) and computes nothing (the runtime does).
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { HeadRuntime, RuntimeInput } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import { topLabels } from '../model/topLabels.ts';
import type { Transport } from '../transport/transport.ts';
import {
  type Choice,
  checkTasks,
  choose,
  type Defaults,
  homeFirst,
  type Sending,
  sendingOf,
} from './choose.ts';
import { atHome, type Crossed, cross, crossAgain, type Wish, wishOf } from './crossing.ts';
import { type Early, earlyOf, exitInstead, exitOutcome, headOrExit } from './exits.ts';
import { hedge, Patience } from './hedge.ts';
import { prepareInput } from './input.ts';
import type { Loader } from './loader.ts';
import type { KeptThings } from './memory.ts';
import type { Absence } from './offline.ts';
import { defaultCut, type Failure, mayFallBack, type Plan } from './plan.ts';
import { createPlanning } from './planning.ts';
import { weighRivals } from './rivals.ts';
import { openScope } from './scope.ts';
import { streamOf } from './stream.ts';
import type {
  ConnectOptions,
  Input,
  KeptFeature,
  Report,
  Result,
  Rivals,
  RunOptions,
  Session,
  Timings,
} from './types.ts';

export interface SessionParts {
  manifest: Manifest;
  runtime: HeadRuntime;
  transport: Transport;
  loader: Loader;
  defaults: Defaults & Pick<ConnectOptions, 'hedge' | 'exits'>;
  /** Where the session started without its tail. */
  absence?: Absence;
  /** Where the planner keeps what it measured of this device. */
  kept?: KeptThings;
}

/** After these the device may lack segments, or the token to fetch them with; loading what is there costs nothing. */
const LOST_SEGMENTS: ReadonlySet<ErrorCode> = new Set(['WORKER_FAILED', 'DEVICE_LOST', 'DOWNLOAD_FAILED']);

/** How downloads fail. */
const UNFETCHED: ReadonlySet<ErrorCode> = new Set([
  'DOWNLOAD_FAILED',
  'NOT_FOUND',
  'NOT_ISTHMUS',
  'INTEGRITY_MISMATCH',
]);

/** The part of a result that a plan knows. */
interface Outcome
  extends Pick<Result, 'outputs' | 'tasks' | 'failedTasks'>,
    Pick<Crossed, 'kept'>,
    Pick<Report, 'ran' | 'cut' | 'preset' | 'exit' | 'bytes' | 'transport'> {
  ms: Omit<Timings, 'total'>;
  /** Why the device answered in the place of the tail. */
  instead?: string;
  /** Milliseconds that a slow tail was waited for before. */
  waitedMs?: number;
}

/** One plan being tried. */
interface Attempt {
  input: RuntimeInput;
  choice: Choice;
  wish: Wish;
  sending: Sending;
  early: Early;
  signal: AbortSignal;
  /** Why a plan before this one failed. */
  reason: IsthmusError | undefined;
  /** Which side works on it just now. */
  side: Failure['side'];
}

/** `await using` of browsers without explicit resource management, as bundlers write it, looks for the registered symbol. */
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** @internal connect() is the way to get a session. */
export function createSession({
  manifest,
  runtime,
  transport,
  loader,
  defaults,
  absence,
  kept,
}: SessionParts): Session {
  const closing = new AbortController();
  const patience = new Patience();
  const upload = { format: 'jpeg', quality: 0.85, ...defaults.upload } as const;
  const planning = createPlanning({
    ...{ manifest, defaults, loader, upload, kept },
    adapter: () => `${runtime.device.kind} ${runtime.device.adapter}`,
  });
  let closed: Promise<void> | undefined;

  async function run(input: Input, options: RunOptions = {}): Promise<Result> {
    const started = performance.now();
    const wanted = choose(manifest, defaults, options);
    const away = absence?.reason;
    const planned = away ? undefined : planning.decide(wanted, options);
    const choice = away ? homeFirst(wanted) : (planned?.choice ?? wanted);
    const sending = sendingOf(options, started);
    const early = earlyOf(manifest, runtime, choice, options.exits ?? defaults.exits);
    const answered = within(options, async (signal) => {
      const wish = wishOf(choice, options, signal);
      const { onProvisional } = options;
      if (onProvisional)
        early.tell = (answer) =>
          void (signal.aborted || onProvisional(resultOf(exitOutcome(manifest, answer), started)));
      const prepared = await prepareInput(input);
      try {
        const { outcome, degraded } = await firstThatWorks({
          choice,
          wish,
          sending,
          early,
          input: prepared.input,
          signal,
        });
        planned?.answered(outcome, performance.now() - started);
        const instead = away && choice !== wanted ? said(away) : undefined;
        return resultOf(outcome, started, degraded ?? instead);
      } catch (thrown) {
        planned?.failed(thrown, performance.now() - started);
        throw thrown;
      } finally {
        prepared.release();
      }
    });
    return answered.catch((thrown: unknown) => {
      const reason = early.held && exitInstead(thrown, options.signal);
      if (!reason) throw thrown;
      return resultOf(exitOutcome(manifest, early.held!, {}, early.up), started, said(reason));
    });
  }

  /** Work that the caller's signal, its deadline and the end of the session end. */
  async function within<T>(
    options: Pick<RunOptions, 'signal' | 'deadlineMs'>,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const scope = openScope([closing.signal, options.signal], options.deadlineMs);
    try {
      scope.signal.throwIfAborted();
      return await scope.race(work(scope.signal));
    } finally {
      scope.end();
    }
  }

  function resultOf(outcome: Outcome, started: number, degraded?: string): Result {
    const { outputs, tasks, failedTasks, kept, ms, instead: _, waitedMs: __, ...where } = outcome;
    const labels = topLabels(manifest, outputs);
    const report: Report = {
      ...where,
      device: runtime.device,
      ms: { ...ms, total: performance.now() - started },
      model: { name: manifest.name, id: manifest.id },
      ...(degraded !== undefined && { degraded }),
    };
    return {
      outputs,
      ...(labels && { labels }),
      ...(tasks && { tasks }),
      ...(failedTasks && { failedTasks }),
      ...(kept && { feature: keptFeature(kept, where) }),
      report,
    };
  }

  function keptFeature(
    kept: NonNullable<Crossed['kept']>,
    where: Pick<Report, 'ran' | 'cut' | 'preset'>,
  ): KeptFeature {
    let current = kept;
    return {
      get id() {
        return current.id;
      },
      async run(options = {}) {
        const started = performance.now();
        const tasks = options.tasks && checkTasks(manifest, options.tasks);
        const sending = sendingOf(options, started);
        return within(options, async (signal) => {
          const wish = wishOf({ tasks, keep: true }, options, signal);
          const reply = await crossAgain({ transport, manifest }, current, wish, sending, signal);
          current = reply.kept ?? current;
          return resultOf({ ...where, ...outcomeOf(reply), ms: reply.timings }, started);
        });
      },
    };
  }

  /** Tries the plans in order. The first failure is the one to report: later ones only say that nothing helped. */
  async function firstThatWorks(request: Omit<Attempt, 'reason' | 'side'>) {
    const { choice, signal } = request;
    const failures: Failure[] = [];
    for (const plan of choice.plans) {
      if (!failures.every((failure) => mayFallBack(failure, plan))) continue;
      const reason = failures[0]?.error;
      const attempt: Attempt = { ...request, reason, side: 'device' };
      try {
        const outcome = await plans[plan](attempt);
        const first = failures[0]?.error;
        return { outcome, degraded: first ? said(first) : outcome.instead };
      } catch (thrown) {
        signal.throwIfAborted();
        const error = IsthmusError.from(thrown, 'INTERNAL', `The ${plan} plan failed; please report it.`);
        if (LOST_SEGMENTS.has(error.code)) loader.forget();
        failures.push({ plan, side: attempt.side, error });
      }
    }
    throw failures[0]!.error;
  }

  /** From here on a failure is the tail's or the link's. The whole model may answer in its place ({@link hedge}). */
  async function crossed(
    attempt: Attempt,
    frame: Uint8Array,
    answered: (reply: Crossed) => Outcome,
  ): Promise<Outcome> {
    const { wish, sending, signal } = attempt;
    signal.throwIfAborted();
    attempt.side = 'tail';
    const sent = performance.now();
    const ask = async (signal: AbortSignal, onTrouble?: (error: unknown) => void) => {
      const reply = await cross({ transport, manifest }, frame, wish, sending, signal, onTrouble);
      patience.crossed(performance.now() - sent);
      return reply;
    };
    if (!mayHedge(attempt)) return answered(await ask(signal));
    const first = await hedge({
      cross: ask,
      local: async (signal) => {
        await loader.keptUpTo(manifest.segments.length - 1);
        signal.throwIfAborted();
        return plans.local(attempt);
      },
      patienceMs: Math.min(
        patience.ms(sending.expires && sending.expires - sent),
        attempt.choice.patienceMs ?? Number.POSITIVE_INFINITY,
      ),
      signal,
    });
    if (first.by === 'tail') return answered(first.answer);
    const { answer, trouble, afterMs } = first;
    const stall = `STALL: No answer came from the tail within ${Math.round(afterMs)} ms, so this device ran the whole model.`;
    const bytes = { up: frame.byteLength, down: 0 };
    return {
      ...answer,
      bytes,
      ...(trouble ? { instead: said(trouble) } : { instead: stall, waitedMs: afterMs }),
    };
  }

  /** Only where running here is the fallback anyway, nothing has failed here, and the whole wish can be met. */
  function mayHedge({ choice, wish, reason }: Attempt): boolean {
    const { plans } = choice;
    return defaults.hedge !== false && plans.indexOf('local') > 0 && !reason && !wish.tasks && !wish.keep;
  }

  const plans: Record<Plan, (attempt: Attempt) => Promise<Outcome>> = {
    async split(attempt) {
      const { input, choice, signal } = attempt;
      const cut = choice.cut ?? defaultCut(manifest);
      await loader.upTo(cut);
      signal.throwIfAborted();
      const { codec } = choice;
      const { early } = attempt;
      const head = await headOrExit(runtime, early, input, { cut, codec }).catch((thrown: unknown) => {
        // The segments are here, so it was the profile that could not be fetched.
        if (thrown instanceof IsthmusError && UNFETCHED.has(thrown.code)) attempt.side = 'profile';
        throw thrown;
      });
      if ('answer' in head) return exitOutcome(manifest, head.answer, head.timings);
      early.up = head.frame.byteLength;
      return crossed(attempt, head.frame, (reply) => {
        const { bytes, ...outcome } = outcomeOf(reply);
        return {
          ran: 'split',
          cut: manifest.cuts[cut]!.name,
          preset: choice.preset,
          ...outcome,
          bytes: { ...bytes, raw: head.rawBytes },
          ms: { ...head.timings, ...reply.timings },
        };
      });
    },

    async local({ input, signal, wish, reason }) {
      await loader.upTo(manifest.segments.length - 1);
      signal.throwIfAborted();
      const began = performance.now();
      const { outputs, timings } = await runtime.local(input);
      patience.computed(performance.now() - began);
      const answers = atHome(manifest, wish.tasks, outputs, reason);
      return { ran: 'local', outputs, ...answers, bytes: { up: 0, down: 0 }, ms: timings };
    },

    async remote(attempt) {
      await loader.upTo(-1);
      attempt.signal.throwIfAborted();
      const { frame, timings } = await runtime.remote(attempt.input, upload.format, upload.quality);
      return crossed(attempt, frame, (reply) => ({
        ran: 'remote',
        ...outcomeOf(reply),
        ms: { ...timings, ...reply.timings },
      }));
    },
  };

  async function rivals(input: Input, options: Pick<RunOptions, 'cut' | 'signal'> = {}): Promise<Rivals> {
    const cut = choose(manifest, defaults, options).cut ?? defaultCut(manifest);
    return within(options, (signal) =>
      weighRivals({ manifest, runtime, loader }, input, cut, upload.quality, signal),
    );
  }

  function close(): Promise<void> {
    closed ??= (async () => {
      closing.abort(new IsthmusError('CLOSED', 'The session is closed. Connect again.'));
      absence?.end();
      await Promise.all([transport.close(), runtime.close()]);
    })();
    return closed;
  }

  return {
    manifest,
    get device() {
      return runtime.device;
    },
    get plan() {
      return planning.report;
    },
    run,
    stream: (source, options) => streamOf(run, closing.signal, source, options),
    rivals,
    close,
    [asyncDispose]: close,
  };
}

/** How `report.degraded` tells of an error. */
const said = ({ code, message }: IsthmusError) => `${code}: ${message}`;

/** The part of an outcome that the crossing knows. */
function outcomeOf(reply: Crossed): Omit<Outcome, 'ran' | 'cut' | 'preset' | 'ms'> {
  const { outputs, tasks, failedTasks, kept, transport, bytesUp, bytesDown } = reply;
  return {
    outputs,
    transport,
    bytes: { up: bytesUp, down: bytesDown },
    ...(tasks && { tasks }),
    ...(failedTasks && { failedTasks }),
    ...(kept && { kept }),
  };
}
