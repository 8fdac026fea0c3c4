// Session: one model at one tail, ready to answer. Chooses the plan of each run, drives runtime and transport, and
// writes the report. It starts nothing (connect.ts does) and computes nothing (the runtime does).
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { HeadRuntime, RuntimeInput } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import { topLabels } from '../model/topLabels.ts';
import type { Transport } from '../transport/transport.ts';
import { type Choice, checkTasks, choose, type Defaults, type Sending, sendingOf } from './choose.ts';
import { atHome, type Crossed, cross, crossAgain, type Wish, wishOf } from './crossing.ts';
import { prepareInput } from './input.ts';
import type { Loader } from './loader.ts';
import { defaultCut, type Failure, mayFallBack, type Plan } from './plan.ts';
import { weighRivals } from './rivals.ts';
import { openScope } from './scope.ts';
import type { Input, KeptFeature, Report, Result, Rivals, RunOptions, Session, Timings } from './types.ts';

export interface SessionParts {
  manifest: Manifest;
  runtime: HeadRuntime;
  transport: Transport;
  loader: Loader;
  defaults: Defaults;
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
    Pick<Report, 'ran' | 'cut' | 'preset' | 'bytes' | 'transport'> {
  ms: Omit<Timings, 'total'>;
}

/** One plan being tried. */
interface Attempt {
  input: RuntimeInput;
  choice: Choice;
  wish: Wish;
  sending: Sending;
  signal: AbortSignal;
  /** Why a plan before this one failed. */
  reason: IsthmusError | undefined;
  /** Which side works on it just now. */
  side: Failure['side'];
}

/** `await using` of browsers without explicit resource management, as bundlers write it, looks for the registered symbol. */
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** @internal connect() is the way to get a session. */
export function createSession({ manifest, runtime, transport, loader, defaults }: SessionParts): Session {
  const closing = new AbortController();
  const upload = { format: 'jpeg', quality: 0.85, ...defaults.upload } as const;
  let closed: Promise<void> | undefined;

  async function run(input: Input, options: RunOptions = {}): Promise<Result> {
    const started = performance.now();
    const choice = choose(manifest, defaults, options);
    const sending = sendingOf(options, started);
    return within(options, async (signal) => {
      const wish = wishOf(choice, options, signal);
      const prepared = await prepareInput(input);
      try {
        const { outcome, degraded } = await firstThatWorks(choice, wish, sending, prepared.input, signal);
        return resultOf(outcome, started, degraded);
      } finally {
        prepared.release();
      }
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
    const { outputs, tasks, failedTasks, kept, ms, ...where } = outcome;
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
  async function firstThatWorks(
    choice: Choice,
    wish: Wish,
    sending: Sending,
    input: RuntimeInput,
    signal: AbortSignal,
  ) {
    const failures: Failure[] = [];
    for (const plan of choice.plans) {
      if (!failures.every((failure) => mayFallBack(failure, plan))) continue;
      const reason = failures[0]?.error;
      const attempt: Attempt = { input, choice, wish, sending, signal, reason, side: 'device' };
      try {
        const outcome = await plans[plan](attempt);
        const first = failures[0]?.error;
        return { outcome, degraded: first && `${first.code}: ${first.message}` };
      } catch (thrown) {
        signal.throwIfAborted();
        const error = IsthmusError.from(thrown, 'INTERNAL', `The ${plan} plan failed; please report it.`);
        if (LOST_SEGMENTS.has(error.code)) loader.forget();
        failures.push({ plan, side: attempt.side, error });
      }
    }
    throw failures[0]!.error;
  }

  /** From here on a failure is the tail's or the link's. */
  function crossed(attempt: Attempt, frame: Uint8Array): Promise<Crossed> {
    const { wish, sending, signal } = attempt;
    signal.throwIfAborted();
    attempt.side = 'tail';
    return cross({ transport, manifest }, frame, wish, sending, signal);
  }

  const plans: Record<Plan, (attempt: Attempt) => Promise<Outcome>> = {
    async split(attempt) {
      const { input, choice, signal } = attempt;
      const cut = choice.cut ?? defaultCut(manifest);
      await loader.upTo(cut);
      signal.throwIfAborted();
      const head = await runtime.head(input, cut, choice.codec).catch((thrown: unknown) => {
        // The segments are here, so it was the profile that could not be fetched.
        if (thrown instanceof IsthmusError && UNFETCHED.has(thrown.code)) attempt.side = 'profile';
        throw thrown;
      });
      const reply = await crossed(attempt, head.frame);
      const { bytes, ...outcome } = outcomeOf(reply);
      return {
        ran: 'split',
        cut: manifest.cuts[cut]!.name,
        preset: choice.preset,
        ...outcome,
        bytes: { ...bytes, raw: head.rawBytes },
        ms: { ...head.timings, ...reply.timings },
      };
    },

    async local({ input, signal, wish, reason }) {
      await loader.upTo(manifest.segments.length - 1);
      signal.throwIfAborted();
      const { outputs, timings } = await runtime.local(input);
      const answers = atHome(manifest, wish.tasks, outputs, reason);
      return { ran: 'local', outputs, ...answers, bytes: { up: 0, down: 0 }, ms: timings };
    },

    async remote(attempt) {
      await loader.upTo(-1);
      attempt.signal.throwIfAborted();
      const { frame, timings } = await runtime.remote(attempt.input, upload.format, upload.quality);
      const reply = await crossed(attempt, frame);
      return { ran: 'remote', ...outcomeOf(reply), ms: { ...timings, ...reply.timings } };
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
      await Promise.all([transport.close(), runtime.close()]);
    })();
    return closed;
  }

  return {
    manifest,
    get device() {
      return runtime.device;
    },
    run,
    rivals,
    close,
    [asyncDispose]: close,
  };
}

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
