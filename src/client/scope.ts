// Scope of one call: everything that may end it early (the caller's signal, a deadline, the session's close) in one
// signal, and a race against it. Work that never settles can therefore not hold a call; what it yields late is dropped.
import { abortError } from '../abort.ts';
import { IsthmusError } from '../errors.ts';

export interface Scope {
  /** Fires with the reason the call must fail with. */
  readonly signal: AbortSignal;
  /** Settles as `work` does, or rejects as soon as the signal fires. */
  race<T>(work: Promise<T>): Promise<T>;
  /** Lets go of timers and listeners. */
  end(): void;
}

/**
 * @throws OPTION_INVALID for a deadline that is no positive number of milliseconds.
 */
export function openScope(parents: readonly (AbortSignal | undefined)[], deadlineMs?: number): Scope {
  if (deadlineMs !== undefined && !(typeof deadlineMs === 'number' && deadlineMs > 0)) {
    throw new IsthmusError(
      'OPTION_INVALID',
      `deadlineMs must be a number of milliseconds above 0, not ${deadlineMs}.`,
    );
  }
  const controller = new AbortController();
  const { signal } = controller;
  const undo: (() => void)[] = [];
  for (const parent of parents) {
    if (!parent) continue;
    const forward = () => controller.abort(abortError(parent));
    if (parent.aborted) forward();
    else {
      parent.addEventListener('abort', forward, { once: true });
      undo.push(() => parent.removeEventListener('abort', forward));
    }
  }
  // setTimeout counts in 31 bits; a deadline of more than 24 days is none.
  if (deadlineMs !== undefined && deadlineMs <= 0x7fffffff) {
    const late = () =>
      controller.abort(
        new IsthmusError(
          'DEADLINE_EXCEEDED',
          `No answer came within ${deadlineMs} ms. Allow more time, cut earlier, or use a smaller preset.`,
        ),
      );
    const timer = setTimeout(late, deadlineMs);
    undo.push(() => clearTimeout(timer));
  }
  return {
    signal,
    race<T>(work: Promise<T>): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        work.then(resolve, reject);
        const stop = () => reject(signal.reason);
        if (signal.aborted) stop();
        else signal.addEventListener('abort', stop, { once: true });
      });
    },
    end() {
      for (const step of undo) step();
    },
  };
}
