// Loader: makes sure that the runtime has the segments a plan needs. Loads wait for each other; what is there is not
// asked for again until the device fails, and what failed for good not at once. Files are the runtime's own business.
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { HeadRuntime, Progress } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import type { TokenSource } from '../transport/transport.ts';

export interface Loader {
  /**
   * Segments 0…last; -1 only tells the runtime which model it is about, which the remote plan needs.
   * @param quietly nobody waits for it, so nobody is told of its progress
   */
  upTo(last: number, quietly?: 'quietly'): Promise<void>;
  /** The same without any download. @throws DOWNLOAD_FAILED where this device does not keep a segment */
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
  /** Told of every load but quiet ones, those of a run that needs more segments than before included. */
  onProgress?: ((p: Progress) => void) | undefined;
}

/** Failures that the next moment will not cure: trying again at every run would make every fallback slow. */
const LASTING: ReadonlySet<ErrorCode> = new Set([
  'INTEGRITY_MISMATCH',
  'INFERENCE_FAILED',
  'WEBGPU_UNAVAILABLE',
]);
const PAUSE_MS = 10_000;

export function createLoader({
  runtime,
  manifest,
  artifacts,
  token,
  exits,
  onProgress,
}: LoaderParts): Loader {
  const NOTHING = -2;
  let there = NOTHING;
  let queue: Promise<unknown> = Promise.resolve();

  let failed: { last: number; error: IsthmusError; until: number } | undefined;

  async function load(last: number, how?: 'keptOnly' | 'quietly'): Promise<void> {
    const keptOnly = how === 'keptOnly';
    if (last <= there) return;
    if (failed && last >= failed.last && performance.now() < failed.until) throw failed.error;
    const value = typeof token === 'function' ? await token() : token;
    const options = { manifest, artifacts, ...(value && { token: value }), ...(exits && { exits }) };
    try {
      const tell = how === 'quietly' ? undefined : onProgress;
      await runtime.load(keptOnly ? { ...options, keptOnly } : options, last, tell);
    } catch (thrown) {
      const lasting = thrown instanceof IsthmusError && LASTING.has(thrown.code);
      if (lasting) failed = { last, error: thrown, until: performance.now() + PAUSE_MS };
      throw thrown;
    } finally {
      // A device that is lost later may download again.
      if (keptOnly) await runtime.load(options, Math.max(there, -1)).catch(() => undefined);
    }
    there = Math.max(there, last);
  }

  async function upTo(last: number, how?: 'keptOnly' | 'quietly'): Promise<void> {
    if (last <= there) return;
    const next = queue.then(() => load(last, how));
    queue = next.catch(() => undefined);
    await next;
  }

  return {
    upTo,
    keptUpTo: (last) => upTo(last, 'keptOnly'),
    get last() {
      return there;
    },
    forget() {
      there = NOTHING;
    },
  };
}
