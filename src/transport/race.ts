// A race between ways to open the same thing: the first starts at once, each other one a little later or as soon as its
// forerunner has failed; the first that opens wins and the others are given up.
import { abortError } from '../abort.ts';

export interface Runner<T> {
  /** Milliseconds after the start; earlier when everybody before it has failed. */
  after: number;
  /** Gets no more time than this. */
  capMs: number;
  /** @param signal fires when it need not go on */
  open(signal: AbortSignal): Promise<T>;
  /** It could not open, in its time. Not called when it was only given up. */
  failed?(reason: unknown): void;
}

/**
 * @param drop takes what opened too late
 * @returns what the winner opened
 * @throws the first failure, when all failed; the signal's reason
 */
export function race<T>(
  runners: readonly Runner<T>[],
  drop: (late: T) => void,
  signal: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const waiting = [...runners].sort((a, b) => a.after - b.after);
    const started = performance.now();
    const running = new Set<AbortController>();
    const failures: unknown[] = [];
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const finish = (settle: () => void) => {
      over = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      for (const controller of running) controller.abort();
      settle();
    };
    const stop = () => finish(() => reject(abortError(signal)));

    const next = () => {
      clearTimeout(timer);
      if (over) return;
      const runner = waiting[0];
      if (!runner) {
        if (running.size === 0) finish(() => reject(failures[0]));
        return;
      }
      const wait = running.size === 0 ? 0 : runner.after - (performance.now() - started);
      if (wait > 0) {
        timer = setTimeout(next, wait);
        return;
      }
      waiting.shift();
      run(runner);
      next();
    };

    const run = ({ open, capMs, failed }: Runner<T>) => {
      const controller = new AbortController();
      running.add(controller);
      const late = () => controller.abort(new Error(`nothing came within ${capMs} ms`));
      const cap = setTimeout(late, capMs);
      open(controller.signal)
        .then(
          (opened) => {
            running.delete(controller);
            if (over) drop(opened);
            else finish(() => resolve(opened));
          },
          (thrown) => {
            running.delete(controller);
            if (over) return;
            failures.push(thrown);
            failed?.(thrown);
            next();
          },
        )
        .finally(() => clearTimeout(cap));
    };

    if (signal.aborted) stop();
    else {
      signal.addEventListener('abort', stop, { once: true });
      next();
    }
  });
}
