// Following a model: a session whose tail serves another version by now answers with what it has, fetches the new one in the
// background and goes over to it between two runs. Each version computes on a device part of its own, so no run mixes two.
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Result } from './resultTypes.ts';
import { openScope } from './scope.ts';
import { asyncDispose } from './session.ts';
import { streamOf } from './stream.ts';
import type { ConnectOptions, Input, RunOptions, Session } from './types.ts';

/** A session with one version of a model, and what is only its own. */
export interface Edition {
  session: Session;
  /** The last segment that is on this device. */
  readonly last: number;
  /** Frees what runs need; nothing is run any more. The link to the tail, which others share, stays. */
  release(): Promise<void>;
}

export interface FollowParts extends Pick<ConnectOptions, 'onModelChange'> {
  first: Edition;
  /** What the tail serves now. @throws as `fetchManifest` */
  ask(signal: AbortSignal): Promise<Manifest>;
  /** Ready to run, with what `before` had on this device. @throws where this session's options or device do not suit it */
  open(manifest: Manifest, before: Edition, signal: AbortSignal): Promise<Edition>;
}

/** A tail that goes back and forth between versions, or several that disagree, cost one change in so many milliseconds. */
const PAUSE_MS = 10_000;

/** What a tail may take to say what it serves. */
const ASK_MS = 30_000;

/** How a tail says that it knows another version: of a frame, and of a segment that is gone. */
const STALE = ['MODEL_MISMATCH', 'NOT_FOUND'];

/** What the new version says of a run that was meant for the old one. */
const UNSUITED = ['INPUT_INVALID', 'OPTION_INVALID', 'CUT_INVALID', 'CODEC_INVALID'];

const codeOf = (thrown: unknown) => (thrown instanceof IsthmusError ? thrown.code : '');

/** @internal what connect() hands out */
export function followModel({ first, ask, open, onModelChange }: FollowParts): Session {
  const closing = new AbortController();
  let current = first;
  let changing: Promise<Edition | undefined> | undefined;
  let lastTry = Number.NEGATIVE_INFINITY;
  let closed: Promise<void> | undefined;
  /** Runs under way, of every version that still has a device. */
  const running = new Map<Edition, number>([[first, 0]]);

  async function during<T>(edition: Edition, work: (session: Session) => Promise<T>): Promise<T> {
    running.set(edition, running.get(edition)! + 1);
    try {
      return await work(edition.session);
    } finally {
      running.set(edition, running.get(edition)! - 1);
      letGo(edition);
    }
  }

  /** Of what is not current once its last run has ended. */
  function letGo(edition: Edition): void {
    if (edition === current || running.get(edition)! > 0) return;
    running.delete(edition);
    edition.release().catch(() => undefined);
  }

  /** @returns the edition that took the place of `from`; undefined where none did. It never rejects. */
  function goOver(from: Edition): Promise<Edition | undefined> {
    if (current !== from) return Promise.resolve(current);
    if (changing) return changing;
    if (closing.signal.aborted || performance.now() - lastTry < PAUSE_MS) return Promise.resolve(undefined);
    changing = change(from)
      .catch(() => undefined)
      .finally(() => {
        lastTry = performance.now();
        changing = undefined;
      });
    return changing;
  }

  async function change(from: Edition): Promise<Edition | undefined> {
    const before = from.session.manifest;
    const manifest = await patiently((signal) => ask(signal), [], ASK_MS);
    if (manifest.id === before.id || !takesAlike(before, manifest)) return undefined;
    const next = await open(manifest, from, closing.signal);
    if (closing.signal.aborted) {
      await next.release();
      return undefined;
    }
    running.set(next, 0);
    current = next;
    letGo(from);
    if (onModelChange) queueMicrotask(() => onModelChange(manifest, before));
    return next;
  }

  async function run(input: Input, options: RunOptions = {}): Promise<Result> {
    const began = performance.now();
    const edition = current;
    try {
      const result = await during(edition, (session) => session.run(input, options));
      const { degraded } = result.report;
      if (STALE.some((code) => degraded?.startsWith(`${code}: `))) void goOver(edition);
      return result;
    } catch (thrown) {
      if (!STALE.includes(codeOf(thrown))) throw thrown;
      const left = options.deadlineMs && options.deadlineMs - (performance.now() - began);
      if (left !== undefined && left <= 0) throw thrown;
      const next = await patiently(() => goOver(edition), [options.signal], left);
      if (!next) throw thrown;
      return again(next, thrown, input, options, began);
    }
  }

  /** Nothing but the new version could answer this run. */
  async function again(
    next: Edition,
    before: unknown,
    input: Input,
    { deadlineMs, ...options }: RunOptions,
    began: number,
  ): Promise<Result> {
    const waited = performance.now() - began;
    const left = deadlineMs && Math.max(1, deadlineMs - waited);
    try {
      const result = await during(next, (session) =>
        session.run(input, { ...options, ...(left && { deadlineMs: left }) }),
      );
      result.report.ms.total += waited;
      return result;
    } catch (thrown) {
      throw UNSUITED.includes(codeOf(thrown)) ? before : thrown;
    }
  }

  async function patiently<T>(
    work: (signal: AbortSignal) => Promise<T>,
    signals: readonly (AbortSignal | undefined)[],
    deadlineMs?: number,
  ): Promise<T> {
    const scope = openScope([closing.signal, ...signals], deadlineMs);
    try {
      return await scope.race(work(scope.signal));
    } finally {
      scope.end();
    }
  }

  function close(): Promise<void> {
    closed ??= (async () => {
      closing.abort(new IsthmusError('CLOSED', 'The session is closed. Connect again.'));
      await Promise.all([...running.keys()].map(({ session }) => session.close()));
      await changing;
    })();
    return closed;
  }

  return {
    get manifest() {
      return current.session.manifest;
    },
    get device() {
      return current.session.device;
    },
    get plan() {
      return current.session.plan;
    },
    run,
    stream: (source, options) => streamOf(run, closing.signal, source, options),
    rivals: (input, options) => during(current, (session) => session.rivals(input, options)),
    close,
    [asyncDispose]: close,
  };
}

/** Whether who calls with inputs for one can call with them for the other: pictures, or the same tensors. */
function takesAlike(before: Manifest, now: Manifest): boolean {
  const inputs = ({ inputs }: Manifest) =>
    JSON.stringify(inputs.map(({ name, dtype, shape }) => [name, dtype, shape]));
  return (before.preprocess && now.preprocess) !== undefined || inputs(before) === inputs(now);
}
