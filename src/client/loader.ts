// Loader: makes sure that the runtime has the segments a plan needs. Loads wait for each other, and whoever wants what one under way
// brings joins it; what is there is not asked for again until the device fails, and what failed not at once, where nobody waits for it
// or it failed for good. Files are the runtime's own business.
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { HeadRuntime, Progress } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import type { TokenSource } from '../transport/transport.ts';

export interface Loader {
  /**
   * Segments 0…last; -1 only tells the runtime which model it is about, which the remote plan needs.
   * @param quietly behind the session's back: one segment after the other, so that a run waits for that one only, and after a failure
   *   not again for a while
   */
  upTo(last: number, quietly?: 'quietly'): Promise<void>;
  /**
   * The same without any download, and without waiting for those under way.
   * @throws DOWNLOAD_FAILED where this device does not keep a segment
   */
  keptUpTo(last: number): Promise<void>;
  /** The last segment that is here; -2 before anything was loaded. */
  readonly last: number;
  /** After a lost device or a dead worker nothing is there any more. */
  forget(): void;
}

export interface LoaderParts {
  runtime: HeadRuntime;
  manifest: Manifest;
  artifacts: string;
  token?: TokenSource | undefined;
  /** Early exits are wanted as well. */
  exits?: boolean;
  /** Told of every load that somebody waits for, those of a run that needs more segments than before included. */
  onProgress?: ((p: Progress) => void) | undefined;
}

/** Failures that the next moment will not cure: trying again at every run would make every fallback slow. */
const LASTING: ReadonlySet<ErrorCode> = new Set([
  'INTEGRITY_MISMATCH',
  'INFERENCE_FAILED',
  'WEBGPU_UNAVAILABLE',
]);
const PAUSE_MS = 10_000;
const NOTHING = -2;

/** A load under way. */
interface Load {
  last: number;
  /** Begun behind the session's back. */
  quiet: boolean;
  /** Whether somebody waits for it. */
  awaited: boolean;
  done: Promise<void>;
}

/** What is not tried for a while: segments from `from` on. */
interface Rest {
  from: number;
  error: unknown;
  until: number;
}

export function createLoader({
  runtime,
  manifest,
  artifacts,
  token,
  exits,
  onProgress,
}: LoaderParts): Loader {
  let there = NOTHING;
  let current: Load | undefined;
  let fromStore: Load | undefined;
  let behind: Pick<Load, 'last' | 'done'> | undefined;
  /** What failed for good, and what failed while nobody waited. */
  let failed: Rest | undefined;
  let resting: Rest | undefined;

  const heldBack = (rest: Rest | undefined, last: number) =>
    rest !== undefined && last >= rest.from && performance.now() < rest.until;
  const pause = (from: number, error: unknown): Rest => ({
    ...{ from, error },
    until: performance.now() + PAUSE_MS,
  });

  async function load(last: number, keptOnly: boolean, tell?: (p: Progress) => void): Promise<void> {
    if (heldBack(failed, last)) throw failed!.error;
    const value = typeof token === 'function' ? await token() : token;
    const options = { manifest, artifacts, ...(value && { token: value }), ...(exits && { exits }) };
    try {
      await runtime.load(keptOnly ? { ...options, keptOnly } : options, last, tell);
    } catch (thrown) {
      if (thrown instanceof IsthmusError && LASTING.has(thrown.code)) failed = pause(last, thrown);
      throw thrown;
    } finally {
      // A device that is lost later may download again.
      if (keptOnly) await runtime.load(options, Math.max(there, -1)).catch(() => undefined);
    }
    there = Math.max(there, last);
  }

  function begin(last: number, quiet: boolean): Load {
    const tell = onProgress && ((p: Progress) => begun.awaited && onProgress(p));
    const begun: Load = { last, quiet, awaited: !quiet, done: Promise.resolve() };
    begun.done = load(last, false, tell).finally(() => {
      current = undefined;
    });
    current = begun;
    return begun;
  }

  async function upTo(last: number): Promise<void> {
    while (last > there) {
      const under = current ?? begin(last, false);
      under.awaited = true;
      if (under.last >= last && !under.quiet) return under.done;
      await under.done.catch(() => undefined); // where it fails whoever waits tries at once
    }
  }

  function quietly(last: number): Promise<void> {
    if (last <= there) return Promise.resolve();
    if (!behind) {
      const target = { last, done: Promise.resolve() };
      behind = target;
      target.done = oneByOne(target).finally(() => {
        behind = undefined;
      });
    }
    behind.last = Math.max(behind.last, last);
    return behind.done;
  }

  async function oneByOne(target: Pick<Load, 'last'>): Promise<void> {
    while (target.last > there) {
      if (current) {
        await current.done.catch(() => undefined);
        continue;
      }
      const next = Math.max(there + 1, Math.min(0, target.last));
      if (heldBack(resting, next)) throw resting!.error;
      await begin(next, true).done.catch((thrown: unknown) => {
        resting = pause(next, thrown);
        throw thrown;
      });
    }
  }

  async function keptUpTo(last: number): Promise<void> {
    if (last <= there) return;
    // No download that is under way is waited for: what needs one is not kept.
    if (fromStore && fromStore.last >= last) return fromStore.done;
    const begun = { last, quiet: false, awaited: true, done: load(last, true) };
    fromStore = begun;
    try {
      await begun.done;
    } finally {
      if (fromStore === begun) fromStore = undefined;
    }
  }

  return {
    upTo: (last, how) => (how ? quietly(last) : upTo(last)),
    keptUpTo,
    get last() {
      return there;
    },
    forget() {
      there = NOTHING;
    },
  };
}
