// The plans of one request: runs them in the order of the choice until one answers, with the device in the tail's place where
// that is slow or away. It reads no options and writes no report (session.ts does both).
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { HeadRuntime, RuntimeInput, StageTimes } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Transport } from '../transport/transport.ts';
import type { Choice, Sending } from './choose.ts';
import { atHome, type Crossed, cross, type Wish } from './crossing.ts';
import { type Early, exitOutcome, headOrExit } from './exits.ts';
import { hedge, Patience, type Second } from './hedge.ts';
import type { Loader } from './loader.ts';
import { defaultCut, type Failure, mayFallBack, type Plan } from './plan.ts';
import { introduce, isAway, onDevice } from './recovery.ts';
import type { Report, Result, Timings } from './resultTypes.ts';

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
export interface Outcome
  extends Pick<Result, 'outputs' | 'tasks' | 'failedTasks'>,
    Pick<Crossed, 'kept'>,
    Pick<Report, 'ran' | 'cut' | 'preset' | 'upload' | 'exit' | 'bytes' | 'transport'> {
  ms: Omit<Timings, 'total'>;
  /** Why the device answered in the place of the tail. */
  instead?: string;
  /** Milliseconds that a slow tail was waited for before. */
  waitedMs?: number;
}

/** An answer that came second, or a crossing that did not come back. */
type Late = Outcome | Extract<Second<never, never>, { by: 'nobody' }>;

/** One plan being tried. */
interface Attempt {
  input: RuntimeInput;
  choice: Choice;
  wish: Wish;
  sending: Sending;
  early: Early;
  signal: AbortSignal;
  /** Whether the whole model may run here beside the tail (caution.ts), and not only where nothing else answers. */
  whole: boolean;
  /** What came second, where both were begun for that ({@link Choice.race}). */
  late?: ((second: Late) => void) | undefined;
  /** What the device needed until a frame was ready to be sent; said even where nobody waits any more. */
  prepared?: ((ms: StageTimes) => void) | undefined;
  /** Why a plan before this one failed. */
  reason: IsthmusError | undefined;
  /** Which side works on it just now. */
  side: Failure['side'];
  /** Whether it waits for a device that is being made anew; first others are asked. */
  wait: boolean;
}

export interface PlanParts {
  manifest: Manifest;
  runtime: HeadRuntime;
  transport: Transport;
  loader: Loader;
  upload: { format: 'jpeg' | 'webp'; quality: number };
  /** Whether the device may answer for a slow tail. */
  hedge: boolean;
}

export type PlanRunner = (
  request: Omit<Attempt, 'reason' | 'side' | 'wait'>,
) => Promise<{ outcome: Outcome; degraded: string | undefined }>;

/** @returns runs one request. @throws the first plan's failure, when no plan answers; the signal's reason */
export function createPlanRunner({
  manifest,
  runtime,
  transport,
  loader,
  upload,
  hedge: hedges,
}: PlanParts): PlanRunner {
  const patience = new Patience();

  /** Where no other way helped, there is still the device that is being made anew. */
  const firstThatWorks: PlanRunner = async (request) => {
    const waits = request.choice.plans.length > 1 && runtime.recovery ? [false, true] : [true];
    const failures: Failure[] = [];
    for (const wait of waits) {
      const answer = await tryPlans(request, wait, failures);
      if (answer) return answer;
      if (!failures.some(({ side, error }) => side === 'device' && isAway(error))) break;
    }
    throw failures[0]!.error;
  };

  /** Tries the plans in order. The first failure is the one to report: later ones only say that nothing helped. */
  async function tryPlans(
    request: Parameters<PlanRunner>[0],
    wait: boolean,
    all: Failure[],
  ): Promise<Awaited<ReturnType<PlanRunner>> | undefined> {
    const { choice, early, signal } = request;
    const failures: Failure[] = [];
    for (const plan of choice.plans) {
      if (!failures.every((failure) => mayFallBack(failure, plan))) continue;
      const reason = all[0]?.error;
      const attempt: Attempt = { ...request, reason, side: 'device', wait };
      const wasted = early.up;
      try {
        const outcome = await plans[plan](attempt);
        const bytes = { ...outcome.bytes, up: outcome.bytes.up + wasted };
        return { outcome: { ...outcome, bytes }, degraded: reason ? said(reason) : outcome.instead };
      } catch (thrown) {
        signal.throwIfAborted();
        const error = IsthmusError.from(thrown, 'INTERNAL', `The ${plan} plan failed; please report it.`);
        if (LOST_SEGMENTS.has(error.code)) loader.forget();
        if (error.code === 'OFFLINE') early.up = wasted; // no way took it
        const failure = { plan, side: attempt.side, error };
        failures.push(failure);
        all.push(failure);
      }
    }
    return undefined;
  }

  /** From here on a failure is the tail's or the link's. The whole model may answer in its place ({@link hedge}). */
  async function crossed(
    attempt: Attempt,
    { frame, timings }: { frame: Uint8Array; timings: StageTimes },
    answered: (reply: Crossed) => Outcome,
  ): Promise<Outcome> {
    const { wish, sending, signal } = attempt;
    if (!attempt.reason) attempt.prepared?.(timings); // another plan's times are not the decided one's
    signal.throwIfAborted();
    attempt.side = 'tail';
    attempt.early.up += frame.byteLength;
    const sent = performance.now();
    const ask = async (signal: AbortSignal, onTrouble?: (error: unknown) => void) => {
      const reply = await cross({ transport, manifest }, frame, wish, sending, signal, onTrouble);
      patience.crossed(performance.now() - sent);
      return reply;
    };
    if (!mayHedge(attempt)) return answered(await ask(signal));
    const { race, patienceMs = Number.POSITIVE_INFINITY } = attempt.choice;
    const { late } = attempt;
    const first = await hedge({
      cross: ask,
      local: async (signal) => {
        await loader.keptUpTo(manifest.segments.length - 1);
        signal.throwIfAborted();
        return plans.local({ ...attempt, wait: true });
      },
      patienceMs: Math.min(patience.ms(sending.expires && sending.expires - sent), patienceMs),
      signal,
      late: race &&
        late && {
          ms: race.lateMs,
          heard: (second) =>
            late(
              second.by === 'tail'
                ? answered(second.answer)
                : second.by === 'device'
                  ? second.answer
                  : second,
            ),
        },
    });
    if (first.by === 'tail') return answered(first.answer);
    const { answer, trouble, afterMs } = first;
    const stall = `STALL: No answer came from the tail within ${Math.round(afterMs)} ms, so this device ran the whole model.`;
    const bytes = { up: trouble?.code === 'OFFLINE' ? 0 : frame.byteLength, down: 0 };
    return {
      ...answer,
      bytes,
      ...(trouble ? { instead: said(trouble) } : !race && { instead: stall, waitedMs: afterMs }),
    };
  }

  /** Only where running here is the fallback anyway, nothing has failed here, and the whole wish can be met. */
  function mayHedge({ choice, wish, reason, whole }: Attempt): boolean {
    const { plans } = choice;
    return hedges && whole && plans.indexOf('local') > 0 && !reason && !wish.tasks && !wish.keep;
  }

  const plans: Record<Plan, (attempt: Attempt) => Promise<Outcome>> = {
    async split(attempt) {
      const { input, choice, signal } = attempt;
      const cut = choice.cut ?? defaultCut(manifest);
      const { codec } = choice;
      const { early, wait } = attempt;
      const head = await onDevice(runtime, wait, async (check) => {
        await loader.upTo(cut);
        signal.throwIfAborted();
        check();
        return headOrExit(runtime, early, input, { cut, codec }, wait).catch((thrown: unknown) => {
          // The segments are here, so it was the profile that could not be fetched.
          if (thrown instanceof IsthmusError && UNFETCHED.has(thrown.code)) attempt.side = 'profile';
          throw thrown;
        });
      });
      if ('answer' in head) return exitOutcome(manifest, head.answer, head.timings);
      return crossed(attempt, head, (reply) => {
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

    async local({ input, signal, wish, reason, wait }) {
      const { outputs, timings } = await onDevice(runtime, wait, async (check) => {
        await loader.upTo(manifest.segments.length - 1);
        signal.throwIfAborted();
        check();
        const answer = await runtime.local(input, wait);
        const { preprocess = 0, head = 0 } = answer.timings;
        patience.computed(preprocess + head);
        return answer;
      });
      const answers = atHome(manifest, wish.tasks, outputs, reason);
      return { ran: 'local', outputs, ...answers, bytes: { up: 0, down: 0 }, ms: timings };
    },

    async remote(attempt) {
      await introduce(runtime, loader);
      attempt.signal.throwIfAborted();
      const { format, quality } = attempt.choice.upload ?? upload;
      const picture = await runtime.remote(attempt.input, format, quality);
      return crossed(attempt, picture, (reply) => ({
        ran: 'remote',
        ...(attempt.input.kind !== 'tensors' && { upload: { format, quality } }),
        ...outcomeOf(reply),
        ms: { ...picture.timings, ...reply.timings },
      }));
    },
  };

  return firstThatWorks;
}

/** How `report.degraded` tells of an error. */
export const said = ({ code, message }: IsthmusError) => `${code}: ${message}`;

/** The part of an outcome that the crossing knows. */
export function outcomeOf(reply: Crossed): Omit<Outcome, 'ran' | 'cut' | 'preset' | 'ms'> {
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
