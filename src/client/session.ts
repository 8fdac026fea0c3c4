// Session: one model at one tail, ready to answer. Chooses the plan of each run, drives runtime and transport, and
// writes the report. It starts nothing (connect.ts does) and computes nothing (the runtime does).
import { type CodecParams, type PresetName, resolveCodec } from '../codec/params.ts';
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { HeadRuntime, RuntimeInput } from '../head/runtime.ts';
import { cutIndex, type Manifest } from '../model/manifest.ts';
import { topLabels } from '../model/topLabels.ts';
import { exchange } from '../transport/exchange.ts';
import type { Transport } from '../transport/transport.ts';
import { prepareInput } from './input.ts';
import type { Loader } from './loader.ts';
import { defaultCut, type Failure, mayFallBack, type Plan, plansOf } from './plan.ts';
import { openScope } from './scope.ts';
import type { ConnectOptions, Input, Report, Result, Rivals, RunOptions, Session, Timings } from './types.ts';

type Defaults = Pick<ConnectOptions, 'mode' | 'cut' | 'codec' | 'upload'>;

export interface SessionParts {
  manifest: Manifest;
  runtime: HeadRuntime;
  transport: Transport;
  loader: Loader;
  defaults: Defaults;
}

/** What the options of a session and of a run come to. */
interface Choice {
  plans: readonly [Plan, ...Plan[]];
  /** Undefined until a plan needs it: a model without cuts still runs locally and remotely. */
  cut: number | undefined;
  preset: string;
  codec: CodecParams;
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
interface Outcome extends Pick<Result, 'outputs'>, Pick<Report, 'ran' | 'cut' | 'preset' | 'bytes'> {
  ms: Omit<Timings, 'total'>;
}

/** One plan being tried. */
interface Attempt {
  input: RuntimeInput;
  choice: Choice;
  signal: AbortSignal;
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
    const scope = openScope([closing.signal, options.signal], options.deadlineMs);
    try {
      scope.signal.throwIfAborted();
      return await scope.race(answer(input, choice, scope.signal, started));
    } finally {
      scope.end();
    }
  }

  async function answer(input: Input, choice: Choice, signal: AbortSignal, started: number): Promise<Result> {
    const prepared = await prepareInput(input);
    try {
      const { outcome, degraded } = await firstThatWorks(choice, prepared.input, signal);
      const { outputs, ms, ...where } = outcome;
      const labels = topLabels(manifest, outputs);
      const report: Report = {
        ...where,
        device: runtime.device,
        ms: { ...ms, total: performance.now() - started },
        model: { name: manifest.name, id: manifest.id },
        ...(degraded !== undefined && { degraded }),
      };
      return { outputs, ...(labels && { labels }), report };
    } finally {
      prepared.release();
    }
  }

  /** Tries the plans in order. The first failure is the one to report: later ones only say that nothing helped. */
  async function firstThatWorks(choice: Choice, input: RuntimeInput, signal: AbortSignal) {
    const failures: Failure[] = [];
    for (const plan of choice.plans) {
      if (!failures.every((failure) => mayFallBack(failure, plan))) continue;
      const attempt: Attempt = { input, choice, signal, side: 'device' };
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

  /** The crossing: from here on a failure is the tail's or the link's. */
  function cross(attempt: Attempt, frame: Uint8Array) {
    attempt.signal.throwIfAborted();
    attempt.side = 'tail';
    return exchange(transport, manifest, frame, { signal: attempt.signal });
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
      const reply = await cross(attempt, head.frame);
      return {
        ran: 'split',
        cut: manifest.cuts[cut]!.name,
        preset: choice.preset,
        outputs: reply.outputs,
        bytes: { up: reply.bytesUp, down: reply.bytesDown, raw: head.rawBytes },
        ms: { ...head.timings, ...reply.timings },
      };
    },

    async local({ input, signal }) {
      await loader.upTo(manifest.segments.length - 1);
      signal.throwIfAborted();
      const { outputs, timings } = await runtime.local(input);
      return { ran: 'local', outputs, bytes: { up: 0, down: 0 }, ms: timings };
    },

    async remote(attempt) {
      await loader.upTo(-1);
      attempt.signal.throwIfAborted();
      const { frame, timings } = await runtime.remote(attempt.input, upload.format, upload.quality);
      const reply = await cross(attempt, frame);
      const bytes = { up: reply.bytesUp, down: reply.bytesDown };
      return { ran: 'remote', outputs: reply.outputs, bytes, ms: { ...timings, ...reply.timings } };
    },
  };

  async function rivals(input: Input, options: Pick<RunOptions, 'cut' | 'signal'> = {}): Promise<Rivals> {
    const cut = choose(manifest, defaults, options).cut ?? defaultCut(manifest);
    const scope = openScope([closing.signal, options.signal]);
    try {
      scope.signal.throwIfAborted();
      return await scope.race(weigh(input, cut, scope.signal));
    } finally {
      scope.end();
    }
  }

  async function weigh(input: Input, cut: number, signal: AbortSignal): Promise<Rivals> {
    const prepared = await prepareInput(input);
    try {
      const picture = prepared.input;
      if (picture.kind === 'tensors') {
        throw new IsthmusError(
          'INPUT_INVALID',
          'Only a picture has JPEG and WebP rivals; give one, not tensors.',
        );
      }
      await loader.upTo(cut);
      signal.throwIfAborted();
      const jpeg = await runtime.remote(picture, 'jpeg', upload.quality);
      // Safari's canvas cannot write WebP; then there is no such rival.
      const webp = await runtime.remote(picture, 'webp', upload.quality).catch(() => undefined);
      signal.throwIfAborted();
      const gzipFp16 = await runtime.gzipFp16Bytes(picture, cut);
      return {
        rawFloat32: manifest.cuts[cut]!.rawBytes,
        gzipFp16,
        jpeg: jpeg.frame.byteLength,
        ...(webp && { webp: webp.frame.byteLength }),
        ...(prepared.fileBytes !== undefined && { original: prepared.fileBytes }),
      };
    } finally {
      prepared.release();
    }
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

/**
 * What the options come to, validated before anything is computed so that mistakes do not look like failures.
 * @throws OPTION_INVALID, CUT_INVALID, CODEC_INVALID
 */
export function choose(manifest: Manifest, defaults: Defaults, run: RunOptions = {}): Choice {
  const cut = run.cut ?? defaults.cut;
  const codec: PresetName | CodecParams = run.codec ?? defaults.codec ?? 'isthmus';
  return {
    plans: plansOf(run.mode ?? defaults.mode ?? 'prefer-split'),
    cut: cut === undefined ? undefined : findCut(manifest, cut),
    preset: typeof codec === 'string' ? codec : 'custom',
    codec: resolveCodec(codec),
  };
}

/** Command lines and selects only know text: '2' is a name where a cut has it (exporters number tensors), else an index. */
function findCut(manifest: Manifest, cut: string | number): number {
  const named = manifest.cuts.some((c) => c.name === cut);
  return cutIndex(manifest, !named && typeof cut === 'string' && /^\d+$/.test(cut) ? Number(cut) : cut);
}
