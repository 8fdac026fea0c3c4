// Session: one model at one tail, ready to answer. Chooses the plan of each run, drives runtime and transport, and
// writes the report. It starts nothing (connect.ts does) and computes nothing (the runtime does).
import { IsthmusError } from '../errors.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import { topLabels } from '../model/topLabels.ts';
import type { Transport } from '../transport/transport.ts';
import type { Caution } from './caution.ts';
import { checkTasks, choose, type Defaults, homeFirst, sendingOf } from './choose.ts';
import { type Crossed, crossAgain, wishOf } from './crossing.ts';
import { earlyOf, exitInstead, exitOutcome } from './exits.ts';
import { prepareInput } from './input.ts';
import type { Loader } from './loader.ts';
import type { KeptThings } from './memory.ts';
import type { Absence } from './offline.ts';
import { defaultCut } from './plan.ts';
import { createPlanning } from './planning.ts';
import type { Rivals } from './planTypes.ts';
import type { KeptFeature, Report, Result } from './resultTypes.ts';
import { weighRivals } from './rivals.ts';
import { createPlanRunner, type Outcome, outcomeOf, said } from './runPlans.ts';
import { openScope } from './scope.ts';
import { streamOf } from './stream.ts';
import type { ConnectOptions, Input, RunOptions, Session } from './types.ts';

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
  /** Where it starts small. */
  caution?: Caution;
}

/** `await using` of browsers without explicit resource management, as bundlers write it, looks for the registered symbol. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** @internal connect() is the way to get a session. */
export function createSession({
  manifest,
  runtime,
  transport,
  loader,
  defaults,
  absence,
  kept,
  caution,
}: SessionParts): Session {
  const closing = new AbortController();
  const upload = { format: 'jpeg', quality: 0.85, ...defaults.upload } as const;
  const planning = createPlanning({
    ...{ manifest, defaults, loader, kept },
    ...(runtime.formats && { formats: () => runtime.formats!() }),
    exitsOf: (choice, exits) => earlyOf(manifest, runtime, choice, exits).exits,
    ...(caution && { lastAllowed: (run) => caution.allows(manifest, defaults, run).last }),
    adapter: () => `${runtime.device.kind} ${runtime.device.adapter}`,
  });
  const firstThatWorks = createPlanRunner({
    ...{ manifest, runtime, transport, loader, upload },
    hedge: defaults.hedge !== false,
  });
  let closed: Promise<void> | undefined;

  async function run(input: Input, options: RunOptions = {}): Promise<Result> {
    const started = performance.now();
    const wanted = choose(manifest, defaults, options);
    const away = absence?.reason;
    const planned = away ? undefined : planning.decide(wanted, options);
    const whole = away ? homeFirst(wanted) : (planned?.choice ?? wanted);
    const choice = away ? whole : (caution?.apply(manifest, whole, defaults, options) ?? whole);
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
          whole: caution?.allows(manifest, defaults, options).whole ?? true,
          late: planned?.late,
          prepared: choice === whole ? planned?.prepared : undefined,
        });
        const careful = choice !== whole ? caution : undefined;
        planned?.answered(outcome, performance.now() - started, degraded, careful?.because);
        caution?.answered();
        const instead = away && choice !== wanted ? said(away) : careful?.why;
        return resultOf(outcome, started, degraded ?? instead);
      } catch (thrown) {
        planned?.failed(thrown, performance.now() - started);
        throw thrown;
      } finally {
        prepared.release();
      }
    });
    return answered.catch((thrown: unknown) => {
      const reason = early.held && exitInstead(thrown, options.signal, closing.signal);
      if (!reason) throw thrown;
      return resultOf(exitOutcome(manifest, early.held!, early.ms, early.up), started, said(reason));
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
      caution?.end();
      await Promise.all([transport.close(), runtime.close(), planning.note()]);
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
