// Early exits of one run: which of them are asked, what the last one said, and when that may stand in the place of the answer that
// did not come. The head asks them and knows when one is sure enough (src/head); sessions give the results.
import { IsthmusError } from '../errors.ts';
import type {
  EarlyPlan,
  ExitAnswer,
  HeadResult,
  HeadRuntime,
  RuntimeInput,
  StageTimes,
} from '../head/runtime.ts';
import { exitsUpTo, type Manifest } from '../model/manifest.ts';
import type { Choice } from './choose.ts';
import { defaultCut } from './plan.ts';
import type { Report, Result } from './resultTypes.ts';
import type { ConnectOptions } from './types.ts';

/** What a run knows of its exits. */
export interface Early {
  /** Indices into the manifest's, in the order in which the head meets them; none where they are not asked. */
  exits: readonly number[];
  /** The last one that was not sure enough. */
  held?: ExitAnswer;
  /** Told of each of these once. */
  tell?: (answer: ExitAnswer) => void;
  /** Bytes that were sent for answers that did not come, and milliseconds of the head whose exits were asked. */
  up: number;
  ms?: StageTimes;
}

/** The part of a result that an exit knows. */
export interface ExitOutcome extends Pick<Result, 'outputs'>, Pick<Report, 'cut' | 'exit' | 'bytes'> {
  ran: 'exit';
  ms: StageTimes;
}

/** @throws OPTION_INVALID */
export function checkExits(exits: ConnectOptions['exits']): void {
  if (exits === undefined || exits === 'auto' || exits === 'off') return;
  throw new IsthmusError('OPTION_INVALID', `exits is auto or off, not '${String(exits)}'.`);
}

/** Whether runs may ask exits, so that they are worth fetching with the segments. */
export function mayExit(
  manifest: Manifest,
  { exits, mode = 'prefer-split' }: Pick<ConnectOptions, 'exits' | 'mode'>,
) {
  const asks = mode === 'prefer-split' || mode === 'auto';
  return manifest.exits !== undefined && exits !== 'off' && asks;
}

/**
 * Exits are asked only where other answers than the tail's may be given anyway (`prefer-split`, and `auto` where it splits), and only
 * the model's own task is wanted.
 *
 * @throws OPTION_INVALID
 */
export function earlyOf(
  manifest: Manifest,
  runtime: HeadRuntime,
  { plans, tasks, keep, cut }: Choice,
  exits: ConnectOptions['exits'],
): Early {
  checkExits(exits);
  const none = { exits: [], up: 0 };
  const calibrated = manifest.exits?.some(({ threshold }) => threshold) ?? false;
  if (!manifest.exits || (exits ?? (calibrated ? 'auto' : 'off')) === 'off' || !runtime.early) return none;
  if (plans[0] !== 'split' || plans.length < 2 || tasks || keep || manifest.cuts.length === 0) return none;
  return { exits: exitsUpTo(manifest, cut ?? defaultCut(manifest)), up: 0 };
}

/** The encoded feature, or the answer of an exit that was sure enough. @param wait, @throws as `runtime.head` */
export async function headOrExit(
  runtime: HeadRuntime,
  early: Early,
  input: RuntimeInput,
  { cut, codec }: Pick<EarlyPlan, 'cut' | 'codec'>,
  wait = true,
): Promise<HeadResult | { answer: ExitAnswer; timings: StageTimes }> {
  const { exits } = early;
  if (exits.length === 0) return runtime.head(input, cut, codec, wait);
  const told = new Set<number>();
  const hold = (answer: ExitAnswer) => {
    if (told.has(answer.exit)) return; // the device was lost, and the head begun again
    told.add(answer.exit);
    early.held = answer;
    try {
      early.tell?.(answer);
    } catch (thrown) {
      // The listener's own mistake, as with events: told where such are told, and the run goes on.
      queueMicrotask(() => {
        throw thrown;
      });
    }
  };
  try {
    const { answers, head, timings } = await runtime.early!(input, { exits, cut, codec }, hold, wait);
    early.ms = timings;
    // From a worker they come by another way than the result and may be later than it; a listener hears of them before.
    for (const answer of answers) if (!answer.enough) hold(answer);
    return head ? { ...head, timings } : { answer: answers.at(-1)!, timings };
  } catch (thrown) {
    // It may be the exit that this device cannot run.
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'INFERENCE_FAILED') throw thrown;
    return runtime.head(input, cut, codec, wait);
  }
}

/** What an exit's answer comes to. */
export function exitOutcome(
  { exits, cuts }: Manifest,
  { exit, rule, value, outputs }: ExitAnswer,
  ms: StageTimes = {},
  up = 0,
): ExitOutcome {
  const { name, cut } = exits![exit]!;
  const bytes = { up, down: 0 };
  return { ran: 'exit', cut: cuts[cut]!.name, exit: { name, rule, value }, outputs, bytes, ms };
}

/**
 * Why the last exit answers in the place of a run that failed: past its deadline, or when no plan worked. Undefined where it must
 * not: the caller or the end of the session stopped the run.
 *
 * @param stops the signals of both
 */
export function exitInstead(
  thrown: unknown,
  ...stops: (AbortSignal | undefined)[]
): IsthmusError | undefined {
  const stopped = stops.some((signal) => signal?.aborted);
  return !stopped && thrown instanceof IsthmusError ? thrown : undefined;
}
